"""Claims, on SQLite files alone: which jobs are taken, by whom and for how long, and what is passed over.

What is claimed on every database, in which order, is told in test_queue_order.py.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded, shard_file
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.queues import claim as claiming
from atomic_guide.engines.queues.claim import Hold, bounds_of, claim, make_ready, release_leases
from atomic_guide.engines.queues.lease import Lease
from tests.engines import installed
from tests.queue_board import COURSES, LIVE, SPACING, Board, job

ROWS = Query(
    "rows",
    "How every job stands.",
    {None: "SELECT subject, state, rank, tag, lease_owner, lease_until, attempts FROM jobs ORDER BY subject"},
)
OLD = Query(
    "publish_before",
    "Publish a job as a program from before ranks does.",
    {
        None: "INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, attempts,"
        " max_attempts, run_after, lease_until, lease_owner, token, progress, created_at) VALUES (:bucket, :tenant,"
        " :course, :id, 'q', 'k', :id, '{}', 'queued', 0, 0, 4, :run_after, 0, '', 0, 0, :created_at)"
    },
)


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    shards = await open_embedded(installed(tmp_path, 2), DataSettings(shards=2))
    yield Board(shards)
    await shards.close()


async def take(board: Board, limit: int = 10, hold: Hold | None = None, owner: str = "w") -> list[Lease]:
    now = board.clock.now()
    return await claim(board.shards, "q", owner, limit, (now, now + 30), hold)


async def take_subjects(board: Board, limit: int = 10, hold: Hold | None = None) -> list[str]:
    return [lease.job.subject for lease in await take(board, limit, hold)]


async def stand(board: Board, shard: int | None = None) -> dict[str, tuple[str, str, float]]:
    """Each job's state, owner and end of the lease, by subject."""
    shards = board.shards.all() if shard is None else [board.shards.all()[shard]]
    return {
        row["subject"]: (row["state"], row["lease_owner"], row["lease_until"])
        for each in shards
        for row in await each.read(ROWS)
    }


def apart(board: Board) -> tuple[CourseKey, CourseKey]:
    """A course of the first shard, and one of the second."""
    first, second = (each.name for each in board.shards.all())
    names = {board.shards.place(key).shard.name: key for key in COURSES}
    return names[first], names[second]


async def test_as_many_are_taken_as_are_wanted_the_first_of_all_shards(board: Board) -> None:
    first, second = apart(board)
    for number in range(3):
        await board.publish(first, job(f"a{number}"))
        board.clock.advance(100)
        await board.publish(second, job(f"b{number}"))
        board.clock.advance(100)
    now = board.clock.now()
    leases = await take(board, 3)
    assert [lease.job.subject for lease in leases] == ["a0", "b0", "a1"]
    assert [lease.owner for lease in leases] == ["w", "w", "w"]
    shards = [each.shard for each in board.shards.all()]
    assert [shards.index(lease.shard) for lease in leases] == [0, 1, 0]
    assert [lease.job.attempts for lease in leases] == [1, 1, 1]
    found = await stand(board)
    assert {subject for subject, (state, *_) in found.items() if state == "running"} == {"a0", "b0", "a1"}
    assert {one[1:] for one in found.values() if one[0] == "running"} == {("w", now + 30)}
    assert await take_subjects(board) == ["b1", "a2", "b2"]
    assert await take_subjects(board) == []


async def test_a_shard_whose_jobs_are_not_taken_is_only_read(board: Board, tmp_path: Path) -> None:
    first, second = apart(board)
    await board.publish(first, job("sooner"))
    board.clock.advance(100)
    await board.publish(second, job("later"))
    with contextlib.closing(sqlite3.connect(shard_file(tmp_path / "databases", board.shards.all()[1].name))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with capture_logs() as said:
            assert await take_subjects(board, 1) == ["sooner"]
    assert said == []


async def test_another_queue_is_left_alone(board: Board) -> None:
    first, _ = apart(board)
    await board.publish(first, job("mine"), job("theirs", queue="other"), job("later", queue="other", delay=1))
    board.clock.advance(5)
    assert await take_subjects(board) == ["mine"]
    assert {name: one[0] for name, one in (await stand(board)).items()} == {
        "mine": "running", "theirs": "queued", "later": "delayed"
    }  # fmt: skip


async def test_while_others_are_held_what_is_urgent_or_has_waited_for_long_is_taken(board: Board) -> None:
    first, second = apart(board)
    await board.publish(first, job("old"))
    board.clock.advance(60)
    moment = board.clock.now()
    await board.publish(first, job("new"))
    await board.publish(second, job("live", LIVE))
    board.clock.advance(20)
    hold = Hold(urgent=1000.0, before=moment - 30)
    assert await take_subjects(board, hold=Hold(1000.1, moment - 60.5)) == []
    assert await take_subjects(board, hold=hold) == ["live", "old"]
    assert await take_subjects(board, hold=hold) == []
    assert await take_subjects(board, hold=Hold(1000.0, moment)) == ["new"], "at the moment itself"


async def test_what_is_urgent_waits_where_its_place_is_behind_what_is_held(board: Board) -> None:
    """Many urgent jobs of one tenant stand in its turn: those whose rank is later are held with the rest."""
    first, _ = apart(board)
    count = 3
    await board.publish(first, *(job(f"live{number}", LIVE) for number in range(count)))
    start = board.clock.now()
    hold = Hold(1000.0, start - 1000.0 + SPACING)
    assert await take_subjects(board, hold=hold) == ["live0", "live1"]


def test_without_a_hold_everything_may_be_claimed() -> None:
    infinite = float("inf")
    assert bounds_of(None) == {"most": infinite, "urgent": -infinite, "before": infinite}
    assert bounds_of(Hold(7.0, 3.0)) == {"most": 3.0, "urgent": 7.0, "before": 3.0}


async def test_a_shard_that_does_not_answer_is_passed_over_and_said(board: Board) -> None:
    first, second = apart(board)
    await board.publish(first, job("gone"))
    await board.publish(second, job("there"))
    gone = board.shards.all()[0]
    await gone.shard.close()
    with capture_logs() as said:
        assert await take_subjects(board) == ["there"]
    (line,) = said
    assert line["shard"] == gone.name
    assert line["log_level"] == "warning"
    assert line["event"] == "a shard's jobs cannot be claimed"
    assert line["code"]


async def test_what_ran_out_and_what_has_come_due_is_among_them(board: Board) -> None:
    first, second = apart(board)
    await board.publish(first, job("left"))
    assert await take_subjects(board) == ["left"]
    await board.publish(second, job("delayed", delay=25))
    board.clock.advance(29.9)
    assert await take_subjects(board) == ["delayed"]
    board.clock.advance(0.1)
    (again,) = await take(board, owner="v")
    assert (again.job.subject, again.job.attempts) == ("left", 2)


async def test_jobs_that_come_due_take_the_places_of_their_times_each_tenant_its_turn(board: Board) -> None:
    first, _ = apart(board)
    start = board.clock.now()
    await board.publish(first, *(job(f"d{number}", delay=10 + number) for number in range(3)))
    board.clock.advance(60)
    assert await take_subjects(board, 1) == ["d0"]
    rows = {row["subject"]: row["rank"] for row in await board.shards.all()[0].read(ROWS)}
    assert rows == {"d0": start + 10, "d1": start + 10 + SPACING, "d2": start + 10 + 2 * SPACING}


async def test_a_tenants_next_job_stands_behind_those_that_came_due(board: Board) -> None:
    first, _ = apart(board)
    await board.publish(first, job("due0", delay=1), job("due1", delay=1))
    board.clock.advance(2)
    now = board.clock.now()
    assert await take_subjects(board, 1) == ["due0"]
    await board.publish(first, job("next"))
    rows = {row["subject"]: row["rank"] for row in await board.shards.all()[0].read(ROWS)}
    assert rows["due1"] == now - 1 + SPACING
    assert rows["next"] == rows["due1"] + SPACING


async def test_so_many_at_once_are_placed_and_taken_back(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "READIED_AT_ONCE", 2)
    first, _ = apart(board)
    await board.publish(first, *(job(f"l{number}") for number in range(3)))
    await take(board, 3)
    await board.publish(first, *(job(f"d{number}", delay=1) for number in range(3)))
    board.clock.advance(40)
    shard = board.shards.all()[0]

    async def work(tx: Transaction) -> None:
        await make_ready(tx, "q", board.clock.now())

    await shard.write(work)
    assert sorted(one[0] for one in (await stand(board)).values()) == ["delayed", *["queued"] * 4, "running"]
    await shard.write(work)
    assert {one[0] for one in (await stand(board)).values()} == {"queued"}


async def test_a_job_from_before_ranks_gets_its_place_by_its_time(board: Board) -> None:
    first, _ = apart(board)
    now = board.clock.now()

    async def publish(tx: Transaction) -> None:
        for name, delay in (("before", 0.0), ("later", 20.0)):
            await tx.execute(OLD, {**first.columns, "id": name, "run_after": now + delay, "created_at": now})

    await board.shards.of(first).write(publish)
    board.clock.advance(1)
    assert await take_subjects(board) == ["before"]
    rows = {row["subject"]: (row["state"], row["rank"]) for row in await board.shards.all()[0].read(ROWS)}
    assert rows == {"before": ("running", now), "later": ("delayed", now + 20)}


async def test_leases_of_the_dead_end_on_every_shard_those_of_others_stay(board: Board) -> None:
    first, second = apart(board)
    for key, name in ((first, "a"), (second, "b")):
        await board.publish(key, job(f"{name}1"), job(f"{name}2"))
        board.clock.advance(100)
    assert [lease.owner for lease in await take(board, 3, owner="host-1:7")] == ["host-1:7"] * 3
    assert len(await take(board, 1, owner="host-2:7")) == 1
    assert await release_leases(board.shards, "host-3:") == 0
    assert await release_leases(board.shards, "host-1:") == 3
    found = await stand(board)
    assert sorted(one[0] for one in found.values()) == ["queued", "queued", "queued", "running"]
    assert {one[1:] for one in found.values() if one[0] == "queued"} == {("", 0)}
    assert await release_leases(board.shards) == 1


@pytest.mark.parametrize("prefix", ["%2:", "host__:", "host-1%_:"])
async def test_a_name_with_wildcards_ends_no_lease_of_another(board: Board, prefix: str) -> None:
    first, _ = apart(board)
    await board.publish(first, job())
    assert len(await take(board, owner="host-2:7")) == 1
    assert await release_leases(board.shards, prefix) == 0
    assert (await stand(board))["s"][0] == "running"


async def test_a_wildcard_in_ones_own_name_is_passed_over(board: Board) -> None:
    first, _ = apart(board)
    await board.publish(first, job())
    assert len(await take(board, owner="host2:7")) == 1
    assert await release_leases(board.shards, "h%ost_2:") == 1
