"""Backups: made beside writers, verified, put back, and never bringing back who was erased."""

import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atomic_guide.app.keeping import manifest, swap
from atomic_guide.course.keeping import erase, ledger
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.snapshot import secret_of
from tests.keeping import (
    CONTEXTS,
    MARK,
    PERSON,
    TENANT,
    files_with,
    killed_after,
    put,
    rows_with,
    run,
    seed,
    seeded,
    settings_of,
)
from tests.running import running_server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that has to notice."""
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = seeded(tmp_path / "data")
    (folder / "operator-token").write_text("an operator token\n", encoding="utf-8")
    return folder


def erase_person(data: Path) -> None:
    run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes")


def contents(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but those that a restore empties, and every object."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for path in sorted((data / "databases").glob("*.sqlite")):
        connection = sqlite3.connect(path)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table not in {"one_time_codes", "lti_logins", "uploads", "erasures", "sqlite_sequence"}:
                rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names of the schema
                found[f"{path.stem} {table}"] = sorted(rows, key=repr)
        connection.close()
    objects = [path for path in (data / "objects").rglob("*") if path.is_file()]
    found["objects"] = sorted((str(path.relative_to(data)), path.read_bytes()) for path in objects)
    return found


def test_a_restored_backup_is_what_was_backed_up(data: Path) -> None:
    made = run(data, "backup")
    before = contents(data)
    assert run(data, "backup", "verify")["verified"]
    shutil.rmtree(data / "objects")
    for path in (data / "databases").iterdir():
        path.write_bytes(b"a broken disk")
    restored = run(data, "restore", made["id"], "--yes")
    assert restored["backup"] == made["id"]
    assert contents(data) == before
    assert (data / "operator-token").read_text(encoding="utf-8") == "an operator token\n"
    assert Path(restored["aside"]).is_dir()
    assert not (data / swap.STAGE).exists()


def test_it_holds_the_signing_keys(data: Path) -> None:
    made = run(data, "backup")
    copy = Path(made["path"]) / "databases" / "directory.sqlite"
    assert secret_of(copy, "keeping") == secret_of(data / "databases" / "directory.sqlite", "keeping") is not None


def test_a_backup_restores_on_another_machine_with_the_ledger_beside_it(data: Path, tmp_path: Path) -> None:
    made = run(data, "backup")
    before = contents(data)
    elsewhere = tmp_path / "elsewhere"
    run(elsewhere, "restore", made["path"])
    assert contents(elsewhere) == before


def test_an_erased_person_stays_erased_when_a_backup_is_restored(data: Path) -> None:
    made = run(data, "backup")
    assert rows_with(Path(made["path"]), MARK) != []
    erase_person(data)
    restored = run(data, "restore", made["id"], "--yes")
    assert restored["erased"] == 1
    others = [row for row in rows_with(data, MARK) if "shard" in row]
    assert run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]["found"] == {}
    # The person of the same id in the other tenant is another person, and is back.
    assert others != []
    assert contents(data)["shard-0 messages"] != []


def test_and_when_the_data_directory_was_lost_and_only_backups_are_left(data: Path, tmp_path: Path) -> None:
    made = run(data, "backup")
    erase_person(data)
    elsewhere = tmp_path / "elsewhere"
    restored = run(elsewhere, "restore", made["path"])
    assert restored["erased"] == 1
    found = run(elsewhere, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]["found"]
    assert found == {}


def test_without_a_ledger_nothing_is_restored_unless_that_is_said(data: Path, tmp_path: Path) -> None:
    made = run(data, "backup")
    alone = tmp_path / "alone" / made["id"]
    shutil.copytree(made["path"], alone)
    erase_person(data)
    elsewhere = tmp_path / "elsewhere"
    assert "no ledger of erasures" in run(elsewhere, "restore", str(alone), fails=True)
    assert not (elsewhere / "databases").exists()
    kept = tmp_path / "kept.ledger"
    shutil.copy(data / ledger.FILE, kept)
    assert run(elsewhere, "restore", str(alone), "--ledger", str(kept))["erased"] == 1
    third = tmp_path / "third"
    assert run(third, "restore", str(alone), "--without-ledger")["erased"] == 0


def test_who_came_back_after_an_erasure_is_not_erased_by_a_later_backup(data: Path) -> None:
    erase_person(data)
    asyncio.run(seed(data))
    made = run(data, "backup")
    assert run(data, "restore", made["id"], "--yes")["erased"] == 0
    found = run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]["found"]
    assert found["members"] == len(CONTEXTS)


def test_an_erasure_reaches_what_a_restore_put_aside(data: Path) -> None:
    made = run(data, "backup")
    aside = Path(run(data, "restore", made["id"], "--yes")["aside"])
    assert any(MARK in row for row in files_with(aside, MARK)) or rows_with(aside, MARK)
    run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes")
    left = {row.split()[1] for row in rows_with(aside, f"{MARK} said")}
    connection_counts = []
    for path in (aside / "databases").glob("shard-*.sqlite"):
        connection = sqlite3.connect(path)
        query = "SELECT count(*) FROM messages WHERE tenant = ? AND author = ?"
        connection_counts.append(connection.execute(query, (TENANT, PERSON)).fetchone()[0])
        connection.close()
    assert sum(connection_counts) == 0
    assert left <= {"messages"}


@pytest.mark.parametrize("spoil", ["database", "object", "manifest", "missing", "extra", "list"])
def test_a_backup_that_was_tampered_with_is_refused(data: Path, spoil: str) -> None:
    path = Path(run(data, "backup")["path"])
    if spoil == "database":
        with (path / "databases" / "shard-0.sqlite").open("r+b") as file:
            file.seek(5000)
            file.write(b"tampered")
    elif spoil == "object":
        victim = next(iter(sorted((path / "objects").rglob("source"))))
        victim.unlink()
        victim.write_text("the lecture video/sourcE", encoding="utf-8")
    elif spoil == "manifest":
        values = json.loads((path / manifest.NAME).read_text(encoding="utf-8"))
        values["began_at"] = "2020-01-01T00:00:00.000Z"
        (path / manifest.NAME).write_text(json.dumps(values), encoding="utf-8")
    elif spoil == "missing":
        next(iter((path / "objects").rglob("source"))).unlink()
    elif spoil == "extra":
        (path / "objects" / "more").write_text("more", encoding="utf-8")
    else:
        (path / manifest.OBJECTS).write_text("", encoding="utf-8")
    before = contents(data)
    for command in (["backup", "verify", path.name], ["restore", path.name, "--yes"]):
        assert "take another" in run(data, *command, fails=True)
    assert contents(data) == before


def test_a_ledger_that_was_tampered_with_is_refused(data: Path) -> None:
    made = run(data, "backup")
    erase_person(data)
    lines = (data / ledger.FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    (data / ledger.FILE).write_text(lines[0] + lines[1].replace('"person"', '"tenant"', 1), encoding="utf-8")
    assert "not sealed by this installation's key" in run(data, "restore", made["id"], "--yes", fails=True)


def test_a_running_server_is_not_replaced_and_may_be_backed_up(data: Path) -> None:
    with running_server(data, DATABASES_SHARDS="2") as server:
        stop = threading.Event()

        def write() -> None:
            with server.enter("writer", "instructor") as client:
                while not stop.is_set():
                    client.post("/api/chat/message", json={"content": "while it is backed up"})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            made = [run(data, "backup") for _ in range(3)]
            for one in made:
                assert run(data, "backup", "verify", one["id"])["verified"]
        finally:
            stop.set()
            writer.join()
        # Before it asks: there is nothing to answer.
        assert "Replace" not in (said := run(data, "restore", made[0]["id"], fails=True))
        assert "in use by" in said
        assert "in use by" in run(data, "restore", made[0]["id"], "--yes", fails=True)


def test_a_time_chooses_the_newest_backup_that_was_begun_before_it(data: Path) -> None:
    first, second = run(data, "backup"), run(data, "backup")
    just_before = datetime.fromisoformat(second["began_at"]) - timedelta(milliseconds=1)
    chosen = run(data, "restore", "--at", just_before.isoformat(), "--dry-run")
    assert chosen["backup"] == first["id"]
    assert run(data, "restore", "--at", second["began_at"], "--dry-run")["backup"] == second["id"]
    earlier = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    assert "no backup from before" in run(data, "restore", "--at", earlier, "--dry-run", fails=True)


def test_backups_of_one_second_stand_in_the_order_in_which_they_were_begun(data: Path) -> None:
    made = Path(run(data, "backup")["path"])
    begun = {
        "20261101T120000Z-ffffff": "00.100",
        "20261101T120000Z-000000": "00.900",
        "20261101T120000Z-888888": "00.500",
    }
    for name, seconds in begun.items():
        copy = shutil.copytree(made, made.parent / name)
        said = json.loads((copy / manifest.NAME).read_text("utf-8"))
        said |= {"id": name, "began_at": f"2026-11-01T12:00:{seconds}Z"}
        (copy / manifest.NAME).write_text(json.dumps(said), "utf-8")
    shutil.rmtree(made)
    listed = [one["id"] for one in run(data, "backup", "list")["backups"]]
    assert listed == sorted(begun, key=begun.__getitem__)
    assert manifest.choose(made.parent, None, None).manifest.id == "20261101T120000Z-000000"
    assert manifest.superfluous(listed, keep=1, keep_days=0) == listed[:2]


def test_objects_cost_nothing_twice(data: Path) -> None:
    one, two = Path(run(data, "backup")["path"]), Path(run(data, "backup")["path"])
    for path in (one / "objects").rglob("source"):
        assert path.stat().st_ino == (two / path.relative_to(one)).stat().st_ino


def test_another_disk_gets_copies_and_links_to_the_backup_before(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path.hardlink_to

    def other_disk(self: Path, target: Path) -> None:
        if (data / "objects") in Path(target).parents:
            raise OSError(18, "Invalid cross-device link")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    one, two = Path(run(data, "backup")["path"]), Path(run(data, "backup")["path"])
    sources = list((one / "objects").rglob("source"))
    assert sources
    for path in sources:
        assert path.stat().st_ino == (two / path.relative_to(one)).stat().st_ino
        assert path.stat().st_ino != (data / path.relative_to(one)).stat().st_ino
    assert run(data, "backup", "verify")["verified"]


def test_old_backups_go_and_the_last_of_each_day_stays() -> None:
    names = [f"202611{day:02d}T{hour:02d}0000Z-aaaaaa" for day in (1, 2, 3) for hour in (1, 9, 17)]
    gone = manifest.superfluous(names, keep=2, keep_days=2)
    assert [name for name in names if name not in gone] == [
        "20261102T170000Z-aaaaaa",
        "20261103T090000Z-aaaaaa",
        "20261103T170000Z-aaaaaa",
    ]


def test_only_as_many_as_the_settings_say_are_kept(data: Path) -> None:
    keep = {"ATOMIC_GUIDE_BACKUPS_KEEP": "1", "ATOMIC_GUIDE_BACKUPS_KEEP_DAYS": "0"}
    for _ in range(2):
        newest = run(data, "backup", environment=keep)
    assert [one["id"] for one in run(data, "backup", "list")["backups"]] == [newest["id"]]


def test_a_restore_that_is_killed_leaves_the_old_or_becomes_the_new(data: Path) -> None:
    made = run(data, "backup")
    at_backup = contents(data)
    asyncio.run(seed_more(data))
    newer = contents(data)
    outcomes = set()
    chance = random.Random(7)
    for _ in range(8):
        with killed_after(chance.uniform(0.8, 2.6), data, "restore", made["id"], "--yes"):
            pass
        if swap.pending(data) is not None:
            assert "interrupted" in run(data, "erase", "receipts", fails=True)
            run(data, "restore", made["id"], "--yes")
            outcomes.add("finished")
        state = contents(data)
        assert state in (at_backup, newer)
        outcomes.add("new" if state == at_backup else "old")
    assert run(data, "restore", made["id"], "--yes")["backup"] == made["id"]
    assert contents(data) == at_backup


@pytest.mark.parametrize("step", range(9))
def test_a_swap_is_finished_from_every_step(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = tmp_path / swap.STAGE
    for folder in (tmp_path, stage):
        folder.mkdir(exist_ok=True)
        for part in ("databases", "objects"):
            (folder / part).mkdir()
            (folder / part / "which").write_text("old" if folder == tmp_path else "new", encoding="utf-8")
        (folder / "operator-token").write_text("old" if folder == tmp_path else "new", encoding="utf-8")
    (tmp_path / "uploads").mkdir()
    swap.note_parts(stage)
    under_way = swap.Swap("b", "replaced-1")
    swap.begin(tmp_path, under_way)
    rename, left = Path.rename, iter(range(step))

    def dies(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dies)
    with contextlib.suppress(KeyboardInterrupt):
        swap.finish(tmp_path, under_way)
    monkeypatch.setattr(Path, "rename", rename)
    if swap.pending(tmp_path) is not None:
        swap.finish(tmp_path, under_way)
    for part in ("databases/which", "objects/which", "operator-token"):
        assert (tmp_path / part).read_text(encoding="utf-8") == "new"
        assert (tmp_path / "replaced-1" / part).read_text(encoding="utf-8") == "old"
    assert (tmp_path / "replaced-1" / "uploads").is_dir()
    assert not (tmp_path / "uploads").exists()
    assert not stage.exists()


async def seed_more(data: Path) -> None:
    """Something that the backup does not have."""
    shards = await open_embedded(data, settings_of(data).databases)
    try:
        key = CourseKey.of(TENANT, "waves")
        await put(shards, key, "messages", seq=9, author="late", id="late", content="after", created_at=1.0)
    finally:
        await shards.close()
