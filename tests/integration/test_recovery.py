"""Back to a moment: the log of SQLite files, as Litestream really writes it, and what is rebuilt from it."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import iso
from atomic_guide.course.keeping import erase, ledger
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from tests.keeping import MARK, PERSON, TENANT, run, seeded
from tests.recovering import KEYS, ON, back, logged, logging_settings, said, say, say_everywhere

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that has to notice."""
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


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
