"""Erasing people and tenants, and that a restored backup does not bring them back."""

import asyncio
import json
import random
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.course.keeping import erase, places
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.tables import shapes
from tests.keeping import (
    CONTEXTS,
    FELLOW,
    MARK,
    OTHER,
    PERSON,
    TENANT,
    files_with,
    killed_after,
    put,
    rows_with,
    run,
    seeded,
    settings_of,
)
from tests.running import running_server


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that has to notice."""
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


def erase_person(data: Path, *more: str) -> Any:
    return run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes", *more)


@pytest.mark.parametrize("kind", ["shard", "directory"])
def test_every_column_of_the_schema_is_placed(kind: str) -> None:
    declared = {place.table: place for place in (places.SHARD if kind == "shard" else places.DIRECTORY)}
    key = set(places.KEY) if kind == "shard" else set()
    tables = shapes("shard" if kind == "shard" else "directory")
    assert declared.keys() == tables.keys(), "say in course/keeping/places.py whom the new table is about"
    for name, shape in tables.items():
        place = declared[name]
        assert sorted((*place.people, *place.about, *place.plain)) == sorted(set(shape.columns) - key), (
            f"say in course/keeping/places.py whom the new column of {name} is about"
        )


def test_nothing_of_an_erased_person_is_left_in_any_row_or_byte(data: Path) -> None:
    # The other tenant has a person of the same id, who must stay; only what the mark is in by right is looked for.
    run(data, "erase", "person", "--tenant", OTHER, "--user", PERSON, "--yes")
    assert {row.split()[1] for row in rows_with(data, MARK)} >= {"messages", "scores", "members", "jobs", "videos"}
    assert erase_person(data)["receipt"]["found"] == {
        **dict.fromkeys(["ended_jobs", "idempotency", "jobs", "members", "mutes", "posting_marks"], len(CONTEXTS)),
        **dict.fromkeys(["mail_contacts", "notifications", "operator_actions"], len(CONTEXTS)),
        **dict.fromkeys(["events", "lecture_progress", "student_activity"], len(CONTEXTS)),
        **dict.fromkeys(["scores", "uploads", "videos"], len(CONTEXTS)),
        **dict.fromkeys(["messages", "moderation", "record_reads"], 2 * len(CONTEXTS)),
        **dict.fromkeys(["legal_holds", "one_time_codes"], 1),
    }
    assert rows_with(data, MARK) == []
    assert files_with(data, MARK) == []
    assert rows_with(data, FELLOW) != []


def test_messages_become_tombstones_that_keep_their_number(data: Path) -> None:
    erase_person(data)
    rows = []
    for path in (data / "databases").glob("shard-*.sqlite"):
        connection = sqlite3.connect(path)
        query = "SELECT seq, author, content, deleted_at FROM messages WHERE tenant = ? ORDER BY course, seq"
        rows += connection.execute(query, (TENANT,)).fetchall()
        connection.close()
    assert [seq for seq, *_ in rows] == [1, 2, 3, 4] * len(CONTEXTS)
    for seq, author, content, deleted_at in rows:
        assert ((author, content) == ("", "")) == (seq in {1, 3}) == (deleted_at is not None)


@pytest.mark.parametrize(("option", "gone"), [((), 0), (("--videos",), len(CONTEXTS))])
def test_lectures_stay_without_the_name_or_go_where_that_is_asked(
    data: Path, option: tuple[str, ...], gone: int
) -> None:
    before = len(list((data / "objects").rglob("source")))
    erase_person(data, *option)
    assert len(list((data / "objects").rglob("source"))) == before - gone


def test_a_dry_run_changes_nothing_and_says_what_would_be_found(data: Path) -> None:
    before = rows_with(data, MARK)
    tried = run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]
    assert rows_with(data, MARK) == before
    assert erase_person(data)["receipt"]["found"] == tried["found"]


def test_erasing_again_finds_nothing_and_every_receipt_can_be_shown(data: Path) -> None:
    erase_person(data)
    assert erase_person(data)["receipt"]["found"] == {}
    shown = run(data, "erase", "receipts")["erasures"]
    assert [(one["state"], one["unchanged"]) for one in shown] == [("done", True)] * 2
    assert PERSON not in json.dumps(shown)


def test_a_receipt_that_was_changed_is_called_so(data: Path) -> None:
    erase_person(data)
    connection = sqlite3.connect(data / "databases" / "directory.sqlite")
    with connection:
        connection.execute("UPDATE erasures SET receipt = replace(receipt, '\"scores\":3', '\"scores\":9')")
    connection.close()
    assert "not as it was written" in run(data, "erase", "receipts", fails=True)


def test_a_tenant_goes_with_its_files_and_its_registration(data: Path) -> None:
    receipt = run(data, "erase", "tenant", "--tenant", TENANT, "--yes")["receipt"]
    assert receipt["found"]["courses"] == len(CONTEXTS)
    assert receipt["found"]["objects"] == 4 * len(CONTEXTS)
    assert rows_with(data, TENANT) == []
    assert not (data / "objects" / TENANT).exists()
    assert rows_with(data, OTHER) != []
    assert [one["deployments"] for one in run(data, "platforms", "list")["platforms"]] == [
        [{"deployment_id": "2", "tenant": OTHER}]
    ]


@pytest.mark.parametrize("scope", [(), ("--course", CONTEXTS[1]), ("--user", PERSON)])
def test_a_hold_forbids_until_it_is_lifted(data: Path, scope: tuple[str, ...]) -> None:
    held = run(data, "erase", "hold", "add", "--tenant", TENANT, *scope, "--reason", "case 7")
    before = rows_with(data, MARK)
    refused = run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes", fails=True)
    assert re.search(rf"legal hold.*{held['id']} \(case 7\).*hold remove", refused)
    assert held["id"] in run(data, "erase", "tenant", "--tenant", TENANT, "--yes", fails=True)
    assert rows_with(data, MARK) == before
    run(data, "erase", "hold", "remove", held["id"])
    erase_person(data)


def test_a_hold_on_somebody_else_does_not_forbid(data: Path) -> None:
    run(data, "erase", "hold", "add", "--tenant", TENANT, "--user", FELLOW, "--reason", "case 8")
    erase_person(data)


def test_databases_that_were_put_back_by_hand_are_erased_again_before_they_are_served(
    data: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    # As after the first start of a server: the installation has its key.
    run(data, "erase", "receipts")
    shutil.copytree(data / "databases", old)
    erase_person(data)
    for _ in range(2):
        shutil.rmtree(data / "databases")
        shutil.copytree(old, data / "databases")
        with running_server(data, DATABASES_SHARDS="2"):
            tried = run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]
            assert tried["found"] == {}
    shutil.rmtree(data / "databases")
    shutil.copytree(old, data / "databases")
    assert run(data, "erase", "again") == {"repeated": 1}
    assert run(data, "erase", "again") == {"repeated": 0}
    assert run(data, "erase", "again", "--since", "2020-01-01") == {"repeated": 1}


@pytest.mark.timeout(180)
def test_an_erasure_that_is_killed_at_any_moment_is_completed(data: Path) -> None:
    asyncio.run(write_much(data))
    chance = random.Random(11)
    command = ["erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes"]
    states = set()
    for _ in range(6):
        with killed_after(chance.uniform(1.0, 5.0), data, *command):
            pass
        known = run(data, "erase", "receipts")["erasures"]
        states |= {one["state"] for one in known}
    run(data, "erase", "resume")
    run(data, *command)
    assert "pending" in states
    assert {one["state"] for one in run(data, "erase", "receipts")["erasures"]} == {"done"}
    assert rows_with(data, "much of it") == []
    lines = [json.loads(line) for line in (data / "erasures.ledger").read_text(encoding="utf-8").splitlines()]
    ids = [line["erasure"]["id"] for line in lines if "erasure" in line]
    assert len(ids) == len(set(ids))
    assert {one["id"] for one in run(data, "erase", "receipts")["erasures"]} == set(ids)


async def write_much(data: Path) -> None:
    shards = await open_embedded(data, settings_of(data).databases)
    try:
        for context in CONTEXTS:
            key = CourseKey.of(TENANT, context)
            for seq in range(10, 1500):
                values = {"author": PERSON, "id": f"much{seq}", "content": "much of it", "created_at": 1.0}
                await put(shards, key, "messages", seq=seq, **values)
    finally:
        await shards.close()
