"""Back to a moment: the log of SQLite files, as Litestream really writes it, and what is rebuilt from it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.app.keeping import log
from atomic_guide.clock import from_iso, iso
from atomic_guide.course.keeping import erase, ledger
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.snapshot import fold
from atomic_guide.engines.data.wal.marks import Mark
from atomic_guide.engines.data.wal.writer import WalWriter
from atomic_guide.errors import ConfigurationError, Unavailable
from tests.keeping import CONTEXTS, MARK, PERSON, TENANT, put, run, seeded
from tests.recovering import ON, logged, logging_settings
from tests.running import running_server

pytestmark = pytest.mark.timeout(120)

KEYS = [CourseKey.of(TENANT, context) for context in CONTEXTS]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that has to notice."""
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


async def say(shards: Shards, key: CourseKey, text: str) -> None:
    """One message, durable when this returns."""
    identity = {"author": "sub-fellow", "id": text, "content": text, "created_at": time.time()}
    await put(shards, key, "messages", seq=time.time_ns(), **identity)


async def say_everywhere(shards: Shards, text: str) -> None:
    """A message in every course, which are in both shards, and a platform in the directory."""
    for key in KEYS:
        await say(shards, key, f"{text} {key.course}")
    value = {"name": f"secret {text}", "value": "00", "created_at": time.time()}

    async def work(tx: Any) -> None:
        await tx.copy_rows("secrets", tuple(value), [tuple(value.values())])

    await shards.directory.write(work)


def said(data: Path) -> list[str]:
    """What stands in the databases of what `say_everywhere` wrote: the texts, each in all places."""
    found: dict[str, int] = {}
    for path in sorted((data / "databases").glob("*.sqlite")):
        connection = sqlite3.connect(path)
        table, column = ("secrets", "name") if path.stem == "directory" else ("messages", "content")
        for (text,) in connection.execute(f"SELECT {column} FROM {table}"):  # noqa: S608 - names of the schema
            word = (text.removeprefix("secret ").split() or [""])[0]
            found[word] = found.get(word, 0) + 1
        connection.close()
    return sorted(word for word, times in found.items() if times == len(KEYS) + 1)


def back(data: Path, at: str | Mark, *more: str, **options: Any) -> Any:
    """Restore to a time, or to the moment of a mark."""
    moment = iso(at.until) if isinstance(at, Mark) else at
    return run(data, "restore", "--at", moment, *more, environment=ON, **options)


async def test_every_database_goes_back_to_the_moment(data: Path) -> None:
    async with logged(data) as now:
        marks = {}
        for word in ("one", "two", "three"):
            await say_everywhere(now.shards, word)
            marks[word] = await now.mark()
            await asyncio.sleep(0.01)
    assert said(data) == ["one", "three", "two"]
    token = secret(data)
    done = await asyncio.to_thread(back, data, marks["two"], "--yes")
    assert done["databases"] == 3
    assert said(data) == ["one", "two"]
    assert secret(data) == token
    # And further back, and forward again: what was put aside is still in the log.
    await asyncio.to_thread(back, data, marks["one"], "--yes")
    assert said(data) == ["one"]
    await asyncio.to_thread(back, data, marks["three"], "--yes")
    assert said(data) == ["one", "three", "two"]


def secret(data: Path) -> Any:
    """The key of the installation."""
    connection = sqlite3.connect(data / "databases" / "directory.sqlite")
    try:
        return connection.execute("SELECT value FROM secrets WHERE name = 'keeping'").fetchone()
    finally:
        connection.close()


async def test_what_is_written_after_a_restore_is_in_the_log_again(data: Path) -> None:
    async with logged(data) as now:
        await say_everywhere(now.shards, "one")
        first = await now.mark()
        await say_everywhere(now.shards, "lost")
        await now.mark()
    await asyncio.to_thread(back, data, first, "--yes")
    async with logged(data) as now:
        await say_everywhere(now.shards, "after")
        second = await now.mark()
        await say_everywhere(now.shards, "later")
        await now.mark()
    windows = (await asyncio.to_thread(run, data, "backup", "list", environment=ON))["log"]
    assert len(windows) == 2
    await asyncio.to_thread(back, data, second, "--yes")
    assert said(data) == ["after", "one"]


async def test_a_server_that_starts_again_goes_on_with_the_log(data: Path) -> None:
    async with logged(data) as now:
        await say_everywhere(now.shards, "one")
        first = await now.mark()
    # Written while no log follows, by a command say.
    await asyncio.to_thread(erase_person, data)
    async with logged(data) as now:
        await say_everywhere(now.shards, "two")
        second = await now.mark()
        await say_everywhere(now.shards, "three")
        await now.mark()
    assert len(list((data / "backups" / "log").glob("2*"))) == 1
    await asyncio.to_thread(back, data, second, "--yes")
    assert said(data) == ["one", "two"]
    await asyncio.to_thread(back, data, first, "--yes")
    assert said(data) == ["one"]


async def test_nothing_acknowledged_before_the_mark_is_missing_and_nothing_begun_after_it_is_there(data: Path) -> None:
    acknowledged: dict[str, tuple[float, float]] = {}
    async with logged(data, logging_settings(data, backups__log__interval=0.1)) as now:
        ending = time.monotonic() + 4

        async def write(number: int) -> None:
            key = KEYS[number % len(KEYS)]
            turn = 0
            while time.monotonic() < ending:
                text, began = f"w{number}-{turn}", time.time()
                await say(now.shards, key, text)
                acknowledged[text] = began, time.time()
                turn += 1

        running = asyncio.create_task(now.wal.run())
        await now.beside.turn()
        await asyncio.gather(*(write(number) for number in range(8)))
        running.cancel()
    moments = sorted(began for began, _ in acknowledged.values())
    moment = moments[len(moments) // 2]
    done = await asyncio.to_thread(back, data, iso(moment), "--yes")
    until = done["backup"].rpartition(" at ")[2]
    assert iso(moment - 2) < done["began_at"] <= until <= iso(moment)
    present = set()
    for path in (data / "databases").glob("shard-*.sqlite"):
        connection = sqlite3.connect(path)
        present |= {text for (text,) in connection.execute("SELECT content FROM messages WHERE content LIKE 'w%'")}
        connection.close()
    missing = [
        text for text, (_, ended) in acknowledged.items() if iso(ended) < done["began_at"] and text not in present
    ]
    early = [text for text in present if iso(acknowledged[text][0]) > until]
    assert (missing, early) == ([], [])
    assert 0 < len(present) < len(acknowledged)


async def test_who_was_erased_stays_erased_when_one_goes_back_to_before(data: Path) -> None:
    async with logged(data) as now:
        before = await now.mark()
        receipt = await asyncio.to_thread(erase_person, data)
        await now.mark()
        # Litestream lets go of the files for as long as their WAL is emptied, and the log says how long it holds them.
        assert receipt["copies"] == {}
        assert [path.name for path in (data / "databases").glob("*-wal") if MARK.encode() in path.read_bytes()] == []
        assert receipt["backups"] == ["the log, for 48 h and at most a tenth and 3 h more"]
    done = await asyncio.to_thread(back, data, before, "--yes")
    assert done["erased"] == 1
    assert await asyncio.to_thread(found_of, data) == {}


async def test_and_on_another_machine_with_nothing_but_the_log(data: Path, tmp_path: Path) -> None:
    kept = tmp_path / "another disk"
    settings = logging_settings(data, backups__log__directory=str(kept))
    where = ON | {"ATOMIC_GUIDE_BACKUPS_LOG_DIRECTORY": str(kept)}
    (data / "operator-token").write_text("an operator token\n", encoding="utf-8")
    async with logged(data, settings) as now:
        await say_everywhere(now.shards, "one")
        before = await now.mark()
        await asyncio.to_thread(erase_person, data, where)
    names = sorted(str(path.relative_to(data)) for path in (data / "objects").rglob("*") if path.is_file())
    shutil.rmtree(data)
    elsewhere = tmp_path / "elsewhere"
    command = ("restore", "--at", iso(before.until))
    done = await asyncio.to_thread(lambda: run(elsewhere, *command, environment=where))
    assert (done["erased"], done["without_files"]) == (1, 0)
    assert said(elsewhere) == ["one"]
    assert await asyncio.to_thread(found_of, elsewhere) == {}
    assert (elsewhere / "operator-token").read_text(encoding="utf-8") == "an operator token\n"
    back_again = sorted(
        str(path.relative_to(elsewhere)) for path in (elsewhere / "objects").rglob("*") if path.is_file()
    )
    assert back_again == names != []
    # Without any ledger it is refused.
    (kept / ledger.FILE).unlink()
    third = tmp_path / "third"
    assert "no ledger of erasures" in await asyncio.to_thread(
        lambda: run(third, *command, environment=where, fails=True)
    )
    assert not (third / "databases").exists()


def erase_person(data: Path, environment: dict[str, str] | None = None) -> Any:
    """Erase the person of the seed; the receipt."""
    asked = ("erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes")
    return run(data, *asked, environment=environment or ON)["receipt"]


def found_of(data: Path) -> dict[str, int]:
    """What is left of the person."""
    asked = ("erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")
    receipt: dict[str, int] = run(data, *asked)["receipt"]["found"]
    return receipt


async def test_a_lecture_that_was_deleted_comes_back_with_its_files_and_a_later_one_leaves_none(data: Path) -> None:
    key = KEYS[0]
    folder = data / "objects" / key.tenant / key.course / "video"
    video = min(path.name for path in folder.iterdir())
    async with logged(data) as now:
        before = await now.mark()
        shutil.rmtree(folder / video)
        await forget_video(now.shards, key, video)
        later = folder / f"v{'e' * 16}" / "source"
        later.parent.mkdir()
        later.write_text("uploaded later", encoding="utf-8")
        await now.mark()
    done = await asyncio.to_thread(back, data, before, "--yes")
    assert done["without_files"] == 0
    assert (folder / video / "source").read_text(encoding="utf-8").startswith("the lecture")
    assert not later.exists()


async def forget_video(shards: Shards, key: CourseKey, video: str) -> None:
    """Remove the row of a lecture."""
    query = Query("forget", "Remove a row.", {None: "DELETE FROM videos WHERE id = :id"})

    async def work(tx: Any) -> None:
        assert await tx.execute(query, {"id": video}) == 1

    await shards.of(key).write(work)


async def test_a_restore_to_a_moment_can_be_tried_without_changing_anything(data: Path) -> None:
    async with logged(data) as now:
        await say_everywhere(now.shards, "one")
        first = await now.mark()
        await say_everywhere(now.shards, "two")
        await now.mark()
    names = await asyncio.to_thread(names_in, data)
    tried = await asyncio.to_thread(back, data, first, "--dry-run")
    assert tried["dry_run"]
    assert tried["began_at"] == iso(first.at)
    assert said(data) == ["one", "two"]
    assert await asyncio.to_thread(names_in, data) == names


def names_in(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


async def test_a_time_outside_the_log_is_refused_with_what_it_reaches(data: Path) -> None:
    assert "there is no log" in await asyncio.to_thread(lambda: back(data, "latest", fails=True))
    async with logged(data) as now:
        first = await now.mark()
    reached = (await asyncio.to_thread(run, data, "backup", "list", environment=ON))["log"][0]
    refused = await asyncio.to_thread(lambda: back(data, iso(time.time() + 60), fails=True))
    assert f"the log ends before; it reaches from {reached['from']} to {reached['to']}" in refused
    refused = await asyncio.to_thread(lambda: back(data, iso(first.at - 60), fails=True))
    assert "no backup from before that time" in refused
    assert reached["to"] in refused


async def test_a_backup_from_before_the_log_is_found_by_a_time_before_it(data: Path) -> None:
    made = await asyncio.to_thread(run, data, "backup")
    await asyncio.sleep(0.01)
    moment = iso(time.time())
    await asyncio.sleep(0.01)
    async with logged(data) as now:
        await now.mark()
    assert (await asyncio.to_thread(back, data, moment, "--yes"))["backup"] == made["id"]


async def test_a_log_with_a_gap_and_a_damaged_one_are_refused_by_name(data: Path) -> None:
    async with logged(data) as now:
        await say_everywhere(now.shards, "one")
        await now.mark()
        await say_everywhere(now.shards, "two")
        last = await now.mark()
    before = said(data)
    (pieces,) = (data / "backups" / "log").glob("2*/shard-1/ltx")
    whole = shutil.copytree(pieces, data.parent / "whole")
    for piece in pieces.rglob("*.ltx"):
        content = bytearray(piece.read_bytes())
        content[len(content) // 2] ^= 0xFF
        piece.write_bytes(content)
    refused = await asyncio.to_thread(lambda: back(data, "latest", "--yes", fails=True))
    assert "the log of shard-1 in " in refused
    assert "is damaged before transaction" in refused
    shutil.rmtree(pieces)
    shutil.copytree(whole, pieces)
    for piece in sorted(pieces.rglob("*.ltx")):
        if int(piece.stem[-16:], 16) >= last.positions["shard-1"]:
            piece.unlink()
    refused = await asyncio.to_thread(lambda: back(data, "latest", "--yes", fails=True))
    assert "the log of shard-1 in " in refused
    assert "has a gap before transaction" in refused
    assert said(data) == before
    assert not (data / ".restoring").exists()


async def test_without_the_program_nothing_starts_and_nothing_is_rebuilt(data: Path) -> None:
    async with logged(data) as now:
        await now.mark()
    away = {"ATOMIC_GUIDE_BACKUPS_LOG_BINARY": str(data / "nothing")}
    asked = ("restore", "--at", "latest", "--yes")
    remedy = "install 'atomic-guide[recovery]' or set backups.log.binary"
    assert remedy in await asyncio.to_thread(lambda: run(data, *asked, environment=ON | away, fails=True))
    with pytest.raises(ConfigurationError, match=re.escape(remedy)):
        log.prepare(logging_settings(data, backups__log__binary=str(data / "nothing")))


async def test_another_installations_log_is_refused(data: Path, tmp_path: Path) -> None:
    async with logged(data) as now:
        await now.mark()
    other = tmp_path / "other"
    await asyncio.to_thread(run, other, "migrate")
    connection = sqlite3.connect(other / "databases" / "directory.sqlite")
    connection.execute("INSERT INTO secrets (name, value, created_at) VALUES ('keeping', 'ff', 0)")
    connection.commit()
    connection.close()
    where = ON | {"ATOMIC_GUIDE_BACKUPS_LOG_DIRECTORY": str(data / "backups" / "log")}
    asked = ("restore", "--at", "latest", "--yes")
    assert "another installation" in await asyncio.to_thread(lambda: run(other, *asked, environment=where, fails=True))


async def test_a_backup_beside_the_log_is_whole_and_a_killed_litestream_goes_on(data: Path) -> None:
    settings = logging_settings(data, backups__log__interval=0.1)
    async with logged(data, settings) as now:
        running = asyncio.create_task(now.wal.run())
        await now.beside.turn()
        await say_everywhere(now.shards, "one")
        pid = now.wal.pid
        assert pid is not None
        await asyncio.to_thread(run, data, "backup", environment=ON)
        await asyncio.to_thread(kill, pid)
        await say_everywhere(now.shards, "two")
        async with asyncio.timeout(20):
            while now.wal.pid in {None, pid}:  # noqa: ASYNC110 - a process has no event for it
                await asyncio.sleep(0.02)
        await marked(now.wal)
        running.cancel()
    assert (await asyncio.to_thread(run, data, "backup", "verify"))["verified"]
    await asyncio.to_thread(back, data, "latest", "--yes")
    assert said(data) == ["one", "two"]


def kill(pid: int) -> None:
    """As the kernel does where memory is short."""
    os.kill(pid, signal.SIGKILL)


async def marked(wal: WalWriter) -> Mark:
    """The first mark that can be made."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Unavailable):
                if (mark := await wal.mark()) is not None:
                    return mark
            await asyncio.sleep(0.05)


async def test_its_settings_and_socket_are_for_this_user_alone_and_hold_no_secret(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMIC_GUIDE_OPERATOR_TOKEN", "a token that is secret")
    async with logged(data) as now:
        await now.mark()
        config = data / "wal" / "litestream.json"
        assert config.stat().st_mode & 0o777 == 0o600
        socket = json.loads(config.read_bytes())["socket"]["path"]
        assert await asyncio.to_thread(mode_of, socket) == 0o600
        environment = await asyncio.to_thread(Path(f"/proc/{now.wal.pid}/environ").read_bytes)
        assert b"ATOMIC_GUIDE" not in environment
        listeners = await asyncio.to_thread(listening, now.wal.pid)
        assert listeners == []
        # Others may look into neither folder.
        assert (data / "backups" / "log").stat().st_mode & 0o077 == 0


def mode_of(path: str) -> int:
    """Who may do what with a file."""
    return Path(path).stat().st_mode & 0o777


def listening(pid: int | None) -> list[str]:
    """The TCP ports that a process listens on."""
    inodes = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        target = str(path.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return [fields[1] for fields in lines if fields[9] in inodes and fields[3] == "0A"]


def test_emptying_a_wal_that_somebody_reads_keeps_no_writer_waiting(data: Path) -> None:
    path = data / "databases" / "shard-0.sqlite"
    reader, writer = (sqlite3.connect(path, isolation_level=None, timeout=0.3) for _ in range(2))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM courses").fetchall()
    writer.execute("UPDATE courses SET title = 'begins a new WAL'")
    with ThreadPoolExecutor(1) as pool:
        folding = pool.submit(fold, path, 1.0)
        turns = 0
        while not folding.done():
            writer.execute("UPDATE courses SET title = ?", (f"turn {turns}",))
            turns += 1
        assert folding.result() is False
    reader.close()
    assert turns > 0
    assert fold(path)
    writer.close()


async def test_a_new_shard_is_followed_too(data: Path) -> None:
    async with logged(data) as now:
        await now.mark()
        await asyncio.to_thread(run, data, "shards", "add", "shard-2", environment=ON)
        running = asyncio.create_task(now.wal.run())
        mark = await marked(now.wal)
        running.cancel()
    assert sorted(mark.positions) == ["directory", "shard-0", "shard-1", "shard-2"]
    assert (await asyncio.to_thread(back, data, "latest", "--yes"))["databases"] == 4


def test_what_a_server_acknowledged_is_in_the_log_when_its_machine_dies(tmp_path: Path) -> None:
    kept = tmp_path / "another disk"
    settings = {"BACKUPS_LOG_ENABLED": "true", "BACKUPS_LOG_DIRECTORY": str(kept), "BACKUPS_LOG_INTERVAL": "0.2"}
    said_at: dict[str, float] = {}
    with running_server(tmp_path / "data", settings, PROCESSES_WEB="2") as server:
        with server.enter("u1", role="instructor") as client:
            ending = time.monotonic() + 4
            while time.monotonic() < ending:
                text = f"m{len(said_at)}"
                answer = client.post("/api/chat/message", json={"id": text, "content": text})
                assert answer.status_code == 201, answer.text
                said_at[text] = time.time()
                time.sleep(0.05)
            ready = client.get("/readyz").json()
        (pid,) = followers(tmp_path / "data")
        server.kill()
        died = time.time()
    assert ready["checks"]["log"]["status"] == "ready"
    with contextlib.suppress(FileNotFoundError):
        # The kernel ended it with its parent; nobody may have collected it yet.
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    shutil.rmtree(tmp_path / "data")
    where = {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    where["ATOMIC_GUIDE_DATABASES_SHARDS"] = "4"
    elsewhere = tmp_path / "elsewhere"
    done = run(elsewhere, "restore", "--at", "latest", environment=where)
    assert died - from_iso(done["began_at"]) < 3
    with running_server(elsewhere, settings) as server, server.enter("u1") as client:
        found = {message["content"] for message in client.get("/api/chat/messages?limit=200").json()["messages"]}
    missing = {text for text, moment in said_at.items() if iso(moment) < done["began_at"]} - found
    assert missing == set()
    assert len(found) > len(said_at) / 2


def followers(data: Path) -> list[int]:
    """The processes that follow the files of a data directory."""
    config = str(data / "wal" / "litestream.json").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if config in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
