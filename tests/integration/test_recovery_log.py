"""The log of SQLite files: what is refused, Litestream as a process, what it costs, and what is let go of."""

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
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atomic_guide.app.keeping import log
from atomic_guide.clock import from_iso, iso
from atomic_guide.course.keeping import erase
from atomic_guide.engines.data.snapshot import fold
from atomic_guide.engines.data.wal import writer
from atomic_guide.engines.data.wal.marks import Mark
from atomic_guide.engines.data.wal.writer import WalWriter
from atomic_guide.errors import ConfigurationError, Unavailable
from tests.keeping import put, run, seeded, settings_of
from tests.recovering import KEYS, ON, back, logged, logging_settings, said, say_everywhere
from tests.running import running_server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that has to notice."""
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


async def test_a_file_that_is_written_on_is_copied_whole_once(data: Path) -> None:
    """Else Litestream would copy all of it whenever a writer had begun a new WAL by itself, every 4 MB."""
    async with logged(data, logging_settings(data, backups__log__interval=0.1)) as now:
        await now.mark()
        running = asyncio.create_task(now.wal.run())
        key, text = KEYS[0], os.urandom(50_000).hex()
        for number in range(400):
            row = {"author": "sub-fellow", "id": f"b{number}", "content": text, "created_at": 1.0}
            await put(now.shards, key, "messages", seq=time.time_ns(), **row)
        running.cancel()
    (timeline,) = (data / "backups" / "log").glob("2*")
    pieces = sum(path.stat().st_size for path in timeline.glob("shard-0/ltx/0/*"))
    assert 20_000_000 < pieces < 60_000_000


async def test_a_log_that_cannot_go_on_is_begun_anew_and_the_old_one_stays_good(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RENEW_SECONDS", 0.5)
    async with logged(data, logging_settings(data, backups__log__interval=0.1)) as now:
        await say_everywhere(now.shards, "one")
        first = await now.mark()
        shutil.rmtree(now.wal.own_pieces(data / "databases" / "shard-1.sqlite"))
        await say_everywhere(now.shards, "two")
        with pytest.raises(Unavailable, match="litestream did not copy shard-1"):
            await now.wal.mark()
        running = asyncio.create_task(now.wal.run())
        async with asyncio.timeout(20):
            while len(list((data / "backups" / "log").glob("2*/marks"))) < 2:  # noqa: ASYNC110 - files have no event
                await asyncio.sleep(0.05)
        running.cancel()
    await asyncio.to_thread(back, data, "latest", "--yes")
    assert said(data) == ["one", "two"]
    await asyncio.to_thread(back, data, first, "--yes")
    assert said(data) == ["one"]


async def test_a_log_goes_on_without_what_litestream_kept_beside_the_databases(data: Path) -> None:
    async with logged(data) as now:
        await say_everywhere(now.shards, "one")
        first = await now.mark()
        await say_everywhere(now.shards, "two")
        await now.mark()
    shutil.rmtree(data / "wal")
    async with logged(data) as now:
        await say_everywhere(now.shards, "three")
        await now.mark()
    for at, there in ((first, ["one"]), ("latest", ["one", "three", "two"])):
        await asyncio.to_thread(back, data, at, "--yes")
        assert said(data) == there


async def test_own_pieces_go_once_the_log_has_them(data: Path) -> None:
    async with logged(data) as now:
        await now.mark()
        own = now.wal.own_pieces(data / "databases" / "shard-0.sqlite")
        kept = next((data / "backups" / "log").glob("2*/shard-0/ltx/0"))
        names = [f"{number:016x}-{number:016x}.ltx" for number in range(0x100, 0x100 + 60)]
        for name in names:
            (own / name).touch()
        for name in names[1:]:
            (kept / name).touch()
        now.wal.tend()
        left = sorted(path.name for path in own.iterdir())
        assert left == [names[0], *names[-50:]]


async def test_copies_of_deleted_objects_go_when_no_moment_needs_them_any_more(data: Path) -> None:
    objects, kept = data / "objects", data / "backups" / "log" / "objects"
    async with logged(data) as now:
        await now.mark()
        names = sorted(path.relative_to(objects) for path in objects.rglob("source"))
        (objects / names[0]).unlink()
        (objects / names[1]).unlink()
        await now.mark()
        assert all((kept / name).is_file() for name in names)
        note = kept.with_name("objects-gone.json")
        seen = json.loads(note.read_bytes())
        assert sorted(seen) == sorted(str(name) for name in names[:2])
        note.write_text(json.dumps(seen | {str(names[0]): time.time() - 51.1 * 3600}), encoding="utf-8")
        await now.mark()
    assert [(kept / name).is_file() for name in names[:3]] == [False, True, True]
    assert list(json.loads(note.read_bytes())) == [str(names[1])]


async def test_a_log_that_is_switched_off_goes_when_it_is_as_old_as_it_was_to_become(data: Path) -> None:
    async with logged(data) as now:
        await now.mark()
    off = settings_of(data)
    assert log.prepare(off) is None
    assert not (data / "databases" / "timeline").exists()
    folder = data / "backups" / "log"
    log.let_go_of_unused(off)
    (timeline,) = folder.glob("2*")
    (hour,) = (timeline / "marks").iterdir()
    hour.rename(hour.with_name(f"{datetime.now(UTC) - timedelta(hours=50):%Y-%m-%dT%H}"))
    log.let_go_of_unused(off)
    assert not timeline.exists()
    assert not (folder / "objects").exists()


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
