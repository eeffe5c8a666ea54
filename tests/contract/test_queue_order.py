"""Publishing, claiming and ending many jobs, on every database: what order they have, and what is left of them."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.queues.actions import Act
from atomic_guide.engines.queues.claim import READIED_AT_ONCE, bounds_of
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.ending import PRUNED_AT_ONCE, tidy
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import QUERIES, Job
from atomic_guide.engines.queues.overview import list_jobs
from atomic_guide.engines.queues.priority import Facts
from atomic_guide.errors import ConfigurationError, Conflict, Unavailable
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queue_board import AGEING, COURSES, LIVE, NONE, Board, job

EXAMPLES = itertools.count()


@pytest.fixture(params=ENGINES)
async def board(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Board]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        yield Board(shards)


async def test_many_jobs_are_published_together_and_keep_their_order(board: Board) -> None:
    published = await board.publish(COURSES[0], *(job(f"s{number}") for number in range(250)))
    assert len(set(published)) == 250
    claimed = await board.claim(100) + await board.claim(1000)
    assert [each.id for each in claimed] == published
    assert [each.subject for each in claimed] == [f"s{number}" for number in range(250)]
    assert await board.publish(COURSES[0]) == []


async def test_of_many_jobs_those_whose_unique_key_is_held_are_left_out(board: Board) -> None:
    first = await board.publish(COURSES[0], job(unique_key="u"), job(), job(unique_key="u"), job(unique_key="v"))
    assert [each is None for each in first] == [False, False, True, False]
    assert await board.publish(COURSES[0], job(unique_key="v"), job(unique_key="u")) == [None, None]


async def test_what_differs_in_a_batch_is_stored_with_each_job_in_the_order_of_the_batch(board: Board) -> None:
    await board.publish(COURSES[0], job("holder", unique_key="u7"))
    batch = [
        NewJob(
            queue="q",
            kind=f"k{number % 3}",
            subject=f"s{number}",
            payload={"number": number} if number % 4 else {},
            unique_key=f"u{number}" if number % 5 == 2 else None,
            order_key="o" if number % 60 == 1 else None,
        )
        for number in range(180)
    ]
    published = await board.publish(COURSES[0], *batch)
    assert [number for number, each in enumerate(published) if each is None] == [7]
    await board.publish(COURSES[0], job("later"))
    (_, *claimed, later) = await board.claim(1000)
    assert later.subject == "later"
    # Of the three with an order key the first alone may run.
    expected = [number for number in range(180) if number not in {7, 61, 121}]
    assert [each.subject for each in claimed] == [f"s{number}" for number in expected]
    assert [each.kind for each in claimed] == [f"k{number % 3}" for number in expected]
    assert [each.payload for each in claimed] == [{"number": number} if number % 4 else {} for number in expected]
    assert [each.id for each in claimed] == [published[number] for number in expected]
    await board.end(*[each for each in claimed if each.subject == "s1"])
    assert [each.subject for each in await board.claim(2)] == ["s61"]


async def test_a_queue_that_nobody_declared_is_refused(board: Board) -> None:
    with pytest.raises(ConfigurationError, match="lost"):
        await board.publish(COURSES[0], job(queue="lost"))


async def test_the_reason_for_its_place_is_kept_with_the_job(board: Board) -> None:
    await board.publish(COURSES[0], job("plain"), job("urgent", LIVE))
    rows = {row["subject"]: row for row in (await list_jobs(board.shards, "queued", 10)).jobs}
    assert rows["plain"]["why"] == {"preset": "ranks", "boost_seconds": 0}
    assert rows["urgent"]["why"] == {"preset": "ranks", "live": 4, "instructor": 2, "short": 1, "boost_seconds": AGEING}
    assert rows["urgent"]["priority"] == 7


async def test_a_live_session_goes_next_and_the_lowest_class_waits_for_its_bound_only(board: Board) -> None:
    await board.publish(COURSES[0], *(job(f"backlog-{number}") for number in range(300)))
    board.clock.advance(AGEING - 1)
    await board.publish(COURSES[1], job("live", LIVE))
    board.clock.advance(2)
    await board.publish(COURSES[2], job("too late", LIVE))
    order = [each.subject for each in await board.claim(302)]
    # Its start is a second before the first of the backlog; the other's is a second after it.
    assert order[:3] == ["live", "backlog-0", "too late"]


async def test_jobs_of_a_program_from_before_ranks_stand_where_they_came(board: Board) -> None:
    before = Query(
        "publish_before",
        "Publish a job as a program from before ranks does.",
        {
            None: "INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority,"
            " attempts, max_attempts, run_after, lease_until, lease_owner, token, progress, created_at) VALUES"
            " (:bucket, :tenant, :course, :id, 'q', 'k', :id, '{}', 'queued', 0, 0, 4, :run_after, 0, '', 0, 0,"
            " :created_at)"
        },
    )
    await board.publish(COURSES[1], job("first"))
    board.clock.advance(1)
    now = board.clock.now()

    async def publish(tx: Transaction) -> None:
        for name, delay in (("before", 0.0), ("before, delayed", 20.0)):
            params = {**COURSES[0].columns, "id": name, "run_after": now + delay, "created_at": now}
            await tx.execute(before, params)

    await board.shards.of(COURSES[0]).write(publish)
    board.clock.advance(1)
    await board.publish(COURSES[2], job("last"), job("live", LIVE))
    assert [each.subject for each in await board.claim(10)] == ["live", "first", "before", "last"]
    board.clock.advance(20)
    assert [each.subject for each in await board.claim(10)] == ["before, delayed"]


async def test_one_job_of_another_tenant_does_not_wait_for_ten_thousand(board: Board) -> None:
    for start in range(0, 2000, 500):
        await board.publish(COURSES[0], *(job(f"many-{number}") for number in range(start, start + 500)))
    board.clock.advance(5)
    await board.publish(COURSES[1], job("one"))
    assert [each.subject for each in await board.claim(3)] == ["many-0", "one", "many-1"]


async def test_two_tenants_with_a_backlog_are_served_in_turn(board: Board) -> None:
    mine, yours = next(
        (one, other)
        for one, other in itertools.permutations(COURSES, 2)
        if board.shards.place(one).shard is board.shards.place(other).shard
    )
    for _ in range(4):
        await board.publish(mine, *(job("mine") for _ in range(10)))
    for _ in range(20):
        await board.publish(yours, job("yours"), job("yours"))
    served: Counter[str] = Counter()
    for _ in range(40):
        served.update([each.subject for each in await board.claim(2)])
        assert abs(served["mine"] - served["yours"]) <= 2


async def test_the_order_holds_over_shards_and_batches(board: Board) -> None:
    expected: list[tuple[float, str]] = []
    for number in range(60):
        key = COURSES[number % len(COURSES)]
        facts = (NONE, LIVE, Facts(instructor=True))[number % 3]
        await board.publish(key, job(f"s{number}", facts))
        board.clock.advance(7)
    for shard in board.shards.all():
        rows = await shard.read(Query("ranks", "Every rank.", {None: "SELECT rank, subject FROM jobs"}))
        expected += [(row["rank"], row["subject"]) for row in rows]
    claimed = [each.subject for size in (1, 5, 20, 100) for each in await board.claim(size)]
    assert claimed == [subject for _, subject in sorted(expected)]


async def test_delayed_jobs_come_in_their_time_and_take_their_turn_then(board: Board) -> None:
    await board.publish(COURSES[0], *(job(f"later-{number}", delay=50 + number) for number in range(3)))
    assert (await board.claim(), (await board.counts())["delayed"]) == ([], 3)
    board.clock.advance(50.5)
    await board.publish(COURSES[1], job("other"))
    assert [each.subject for each in await board.claim(5)] == ["later-0", "other"]
    board.clock.advance(20)
    assert [each.subject for each in await board.claim(5)] == ["later-1", "later-2"]


async def test_more_jobs_than_one_round_takes_may_come_due_at_once(board: Board) -> None:
    size = READIED_AT_ONCE + 100
    await board.publish(COURSES[0], *(job(delay=1) for _ in range(size)))
    board.clock.advance(2)
    assert len(await board.claim(size)) == READIED_AT_ONCE
    assert len(await board.claim(size)) == 100


async def test_jobs_of_one_order_key_run_one_after_the_other(board: Board) -> None:
    steps = [job(f"step-{number}", LIVE if number == 2 else NONE, order_key="video") for number in range(3)]
    await board.publish(COURSES[0], *steps, job("free"))
    (first, free) = await board.claim(5)
    assert [first.subject, free.subject] == ["step-0", "free"]
    await board.give_back(first, 5)
    assert await board.claim(5) == []
    board.clock.advance(6)
    (again,) = await board.claim(5)
    assert again.subject == "step-0"
    assert await board.end(again) == {again.id}
    (second,) = await board.claim(5)
    assert second.subject == "step-1"
    assert await board.bury(second)
    (third,) = await board.claim(5)
    assert third.subject == "step-2"
    assert await board.cancel(COURSES[0], "step-2") == 1
    assert await board.end(third) == set()
    await board.publish(COURSES[0], job("step-3", order_key="video"))
    assert [each.subject for each in await board.claim(5)] == ["step-3"]


async def test_what_waits_for_a_job_that_was_removed_from_outside_goes_on(board: Board) -> None:
    await board.publish(COURSES[0], job("gone", order_key="o"), job("waits", order_key="o"))
    drop = Query("drop", "As an erasure does.", {None: "DELETE FROM jobs WHERE subject = 'gone'"})

    async def erase(tx: Transaction) -> int:
        return await tx.execute(drop)

    assert await board.shards.of(COURSES[0]).write(erase) == 1
    assert await board.claim() == []
    await tidy(board.shards, board.clock.now(), 0)
    assert [each.subject for each in await board.claim()] == ["waits"]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "claim", "claim", "end", "back", "bury", "cancel", "replay"]),
        st.integers(0, 5),
    ),
    max_size=30,
)


class Ordered:
    """A course whose jobs have two order keys; checks each claim against what it knows."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.key = CourseKey.of(f"example-{next(EXAMPLES)}", "course")
        self.held: list[Job] = []
        self.live: dict[str, str] = {}
        self.dead: list[tuple[str, str]] = []
        self.replayed: set[str] = set()

    async def publish(self, number: int) -> None:
        order = "ab"[number % 2]
        (published,) = await self.board.publish(
            self.key, job(f"s{number}", order_key=order, delay=float(number // 4) * 5)
        )
        assert published
        self.live[published] = order

    async def claim(self, number: int) -> None:
        for taken in await self.board.claim(1 + number):
            if taken.key != self.key:
                continue
            assert taken.order_key
            assert taken.order_key not in {each.order_key for each in self.held}
            before = [
                each
                for each, order in self.live.items()
                if order == taken.order_key and each < taken.id and each not in self.replayed
            ]
            assert taken.id in self.replayed or not before
            self.held.append(taken)

    async def end(self, number: int) -> None:
        ending = self.held[: 1 + number]
        del self.held[: 1 + number]
        assert await self.board.end(*ending) == {each.id for each in ending}
        for each in ending:
            del self.live[each.id]

    async def back(self, number: int) -> None:
        if self.held:
            await self.board.give_back(self.held.pop(), number * 3.0)
        self.board.clock.advance(number)

    async def bury(self, _number: int) -> None:
        if self.held:
            buried = self.held.pop(0)
            assert await self.board.bury(buried)
            self.dead.append((buried.id, self.live.pop(buried.id)))

    async def cancel(self, number: int) -> None:
        rows = [row for row in await self.rows() if row["subject"] == f"s{number}" and row["state"] != "dead"]
        assert await self.board.cancel(self.key, f"s{number}") == len(rows)
        gone = {row["id"] for row in rows}
        self.held = [each for each in self.held if each.id not in gone]
        self.live = {each: order for each, order in self.live.items() if each not in gone}

    async def replay(self, _number: int) -> None:
        if self.dead:
            replayed, order = self.dead.pop()
            await DeadLetters(self.board.shards).replay(replayed, Act("ada", self.board.clock.now()))
            self.live[replayed] = order
            self.replayed.add(replayed)

    async def rows(self) -> list[Any]:
        query = Query(
            "course", "Jobs of a course.", {None: "SELECT id, subject, state FROM jobs WHERE tenant = :tenant"}
        )
        return await self.board.shards.place(self.key).shard.read(query, {"tenant": self.key.tenant})

    async def drain(self) -> None:
        """Everything that lives can be run to its end: nothing is stuck."""
        for _ in range(len(self.live) + 1):
            await self.end(len(self.held))
            self.board.clock.advance(60)
            await self.claim(50)
        await self.end(len(self.held))
        assert self.live == {}
        assert {row["state"] for row in await self.rows()} <= {"dead"}


@pytest.mark.timeout(180)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
async def test_whatever_happens_jobs_of_an_order_key_run_in_order_and_none_is_stuck(
    board: Board, operations: list[tuple[str, int]]
) -> None:
    course = Ordered(board)
    for name, number in operations:
        await getattr(course, name)(number)
    await course.drain()


async def test_publishers_and_workers_at_the_same_time_leave_nothing_blocked(board: Board) -> None:
    async def publisher(number: int) -> None:
        for each in range(8):
            await board.publish(COURSES[0], job(f"s{number}-{each}", order_key="same"))

    done: list[str] = []

    async def worker() -> None:
        while len(done) < 32:
            claimed = await board.claim(4)
            assert len(claimed) <= 1
            if claimed:
                await board.end(*claimed)
            else:
                # A short read of a file does not let others run.
                await asyncio.sleep(0.001)
            done.extend(each.id for each in claimed)

    async with asyncio.timeout(30):
        await asyncio.gather(*(publisher(number) for number in range(4)), worker())
    assert await board.counts() == {"done": 32}


async def test_ending_twice_or_without_the_lease_ends_nothing(board: Board) -> None:
    await board.publish(COURSES[0], job("a"), job("b"))
    claimed = await board.claim(2)
    assert await board.end(*claimed, owner="thief") == set()
    assert await board.end(claimed[0]) == {claimed[0].id}
    assert await board.end(*claimed) == {claimed[1].id}
    assert await board.give_back(claimed[0], 0) == set()
    assert not await board.bury(claimed[1])
    ended = (await list_jobs(board.shards, "done", 10)).jobs
    assert sorted((row["id"], row["subject"], row["attempts"]) for row in ended) == sorted(
        (each.id, each.subject, 1) for each in claimed
    )


async def test_what_has_ended_is_kept_for_a_while_and_then_forgotten_in_batches(board: Board) -> None:
    size = PRUNED_AT_ONCE + 10
    await board.publish(COURSES[0], *(job() for _ in range(size)))
    await board.end(*await board.claim(size))
    assert await board.counts() == {"done": size}
    ended = board.clock.now()
    board.clock.advance(100)
    await board.publish(COURSES[0], job("late"))
    await board.end(*await board.claim())
    assert await tidy(board.shards, board.clock.now(), ended) == 0
    assert await tidy(board.shards, board.clock.now(), ended + 1, most=PRUNED_AT_ONCE) == PRUNED_AT_ONCE
    assert await tidy(board.shards, board.clock.now(), ended + 1) == 10
    assert await board.counts() == {"done": 1}


async def test_a_unique_key_is_held_through_retries_and_taken_again_by_a_replay(board: Board) -> None:
    (first,) = await board.publish(COURSES[0], job(unique_key="u"))
    assert first
    (claimed,) = await board.claim()
    await board.give_back(claimed, 5)
    assert await board.publish(COURSES[0], job(unique_key="u")) == [None]
    board.clock.advance(6)
    (claimed,) = await board.claim()
    await board.bury(claimed)
    (second,) = await board.publish(COURSES[0], job(unique_key="u"))
    assert second
    letters = DeadLetters(board.shards)
    with pytest.raises(Conflict, match="does the work"):
        await letters.replay(first, Act("ada", board.clock.now()))
    await board.end(*await board.claim())
    await letters.replay(first, Act("ada", board.clock.now()))
    assert await board.publish(COURSES[0], job(unique_key="u")) == [None]
    assert [each.id for each in await board.claim()] == [first]


async def test_replaying_a_subject_leaves_dead_what_another_does_already(board: Board) -> None:
    for _ in range(2):
        await board.publish(COURSES[0], job(unique_key="u"))
        (claimed,) = await board.claim()
        await board.bury(claimed)

    async def replay(tx: Transaction) -> int:
        return await board.queues.replay(tx, COURSES[0], "s", "k")

    assert await board.shards.of(COURSES[0]).write(replay) == 1
    assert await board.counts() == {"dead": 1, "queued": 1}


async def test_a_system_job_goes_to_the_shallowest_shard_that_answers(board: Board) -> None:
    for number in range(4):
        await board.queues.publish_system(job(f"s{number}"), DEFAULT_ZONE)
    depths = [len(await shard.read(QUERIES["peek_jobs"], DEPTH)) for shard in board.shards.all()]
    assert depths == [2, 2]
    claimed = await board.claim(10)
    assert len(await board.end(*claimed)) == 4
    gone, there = board.shards.all()
    await gone.shard.primary.close()
    for _ in range(3):
        await board.queues.publish_system(job(), DEFAULT_ZONE)
    assert len(await there.read(QUERIES["peek_jobs"], DEPTH)) == 3
    with pytest.raises(Unavailable, match="no shard of zone nowhere"):
        await board.queues.publish_system(job(), "nowhere")


DEPTH = {"queue": "q", "now": 0.0, "limit": 100, **bounds_of(None)}


async def test_people_are_told_their_place_whatever_is_before_them(board: Board) -> None:
    await board.publish(COURSES[0], job("first"), job("second", order_key="o"), job("third", order_key="o"))
    await board.publish(COURSES[1], job("elsewhere"))
    assert await board.queues.position(COURSES[0], "first") in {0, 1}
    assert await board.queues.position(COURSES[0], "third") == 3
    (ended, *_) = await board.claim(10)
    assert ended.subject in {"first", "elsewhere"}
    assert await board.queues.position(COURSES[0], "third") == 0


@pytest.mark.parametrize("engine", ENGINES)
async def test_claiming_reads_as_many_entries_as_it_takes_jobs(
    engine: str, tmp_path: Path, postgres_cluster: Cluster
) -> None:
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        board = Board(shards)
        shard = shards.place(COURSES[0]).shard
        # Planned while there is nothing, as a worker does that starts on an empty system.
        for _ in range(7):
            await board.claim(10)
        for state in ({"delay": 1e6}, {}, {"queue": "other"}):
            await board.publish(COURSES[0], *(job(**state) for _ in range(3000)))
        await board.end(*await board.claim(1000))
        params = {"queue": "q", "now": board.clock.now(), "limit": 10, **bounds_of(None)}
        if engine == "sqlite":
            plan = Query("plan", "A plan.", {"sqlite": f"EXPLAIN QUERY PLAN {QUERIES['peek_jobs'].sqlite}"})
            steps = [row["detail"] for row in await shard.read(plan, params)]
            used = [step for step in steps if " jobs " in f"{step} "]
            assert len(used) == 3
            assert all("USING INDEX jobs_" in step or "USING COVERING INDEX jobs_" in step for step in used)
            assert not [step for step in steps if "TEMP B-TREE" in step]
            return
        text = f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERIES['peek_jobs'].text('postgresql')}"
        (row,) = await shard.read(Query("plan", "A plan.", {"postgresql": text}), params)
        (top,) = json.loads(row["QUERY PLAN"])
        read = [node for node in nodes(top["Plan"]) if node.get("Relation Name") == "jobs"]
        assert {node["Index Name"] for node in read} == {"jobs_ready", "jobs_delayed", "jobs_leased"}
        assert sum(node["Actual Rows"] for node in read) == 10
        assert sum(node.get("Rows Removed by Filter", 0) for node in read) == 0


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A node and all below it."""
    return [plan, *(each for child in plan.get("Plans", ()) for each in nodes(child))]
