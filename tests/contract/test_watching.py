"""Events in at least once, figures out exactly once, on every database."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.watching.counting import CountEvents, count_batch, prune_events
from atomic_guide.course.watching.lectures import Lectures
from atomic_guide.course.watching.taking import KIND, QUEUE
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.errors import NotFound, Permanent, RateLimited
from tests.engines import ENGINES, opened_shards
from tests.keeping import put
from tests.moving import addresses
from tests.postgres import Cluster
from tests.watching import (
    KEY,
    LECTURE,
    QUEUES,
    Noting,
    add_lecture,
    all_counted,
    body,
    counting,
    event,
    sender,
    taking,
    watched,
)

ROOT = Path(__file__).parents[2]
STORED = Query(
    "stored", "Every event.", {None: "SELECT id FROM events WHERE bucket = :bucket AND tenant = :tenant ORDER BY id"}
)
JOBS = Query("jobs", "Every live job.", {None: "SELECT id FROM jobs WHERE state IN ('queued', 'running', 'delayed')"})


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        await add_lecture(opened)
        yield opened


class Failing(CountEvents):
    """Cannot count."""

    async def run(self, lease: Lease) -> None:
        raise Permanent(f"{lease.job.id} cannot be counted")


async def waiting_jobs(shards: Shards) -> int:
    return sum([len(await shard.read(JOBS)) for shard in shards.all()])


async def count(shards: Shards, limit: int = 100) -> int:
    """Count batch after batch; how many it took."""
    batches = 0
    while True:
        batches += 1
        if not (await shards.of(KEY).write(lambda tx: count_batch(tx, KEY, limit))).left:
            return batches


async def test_an_id_counts_once_for_its_person(shards: Shards) -> None:
    clock = ManualClock()
    events = taking(shards, clock)
    now = clock.now()
    sent = body(watched(now, 0, 10, "a"), watched(now, 10, 20, "b"))
    assert (await events.take(sender("ada"), sent)).accepted == 2
    again = await events.take(sender("ada"), body(watched(now, 10, 20, "b"), watched(now, 20, 30, "c")))
    assert (again.accepted, again.duplicates) == (1, 1)
    assert (await events.take(sender("bob"), sent)).accepted == 2
    # Twice in one call, and after the first was counted.
    await count(shards)
    repeated = await events.take(
        sender("ada"), body(watched(now, 0, 10, "a"), watched(now, 30, 40, "d"), watched(now, 30, 40, "d"))
    )
    assert (repeated.accepted, repeated.duplicates) == (1, 2)
    await count(shards)
    report = await Lectures(shards).of(KEY, LECTURE, 10)
    assert report.curve.viewers[:5] == [2, 2, 1, 1, 0]
    assert report.curve.plays == report.curve.viewers
    assert (report.lecture.watched_seconds, report.lecture.viewers, report.lecture.views) == (60, 2, 2)


async def test_a_job_is_asked_for_once_until_everything_is_counted(shards: Shards) -> None:
    clock = ManualClock()
    events = taking(shards, clock, batch=10, wait_seconds=1.0)
    for number in range(5):
        await events.take(sender("ada"), body(event("opened", clock.now(), f"one-{number}")))
    assert await waiting_jobs(shards) == 1
    # As many as a batch are counted at once, by a second job.
    await events.take(sender("ada"), body(*(event("opened", clock.now(), f"two-{number}") for number in range(10))))
    await events.take(sender("ada"), body(event("opened", clock.now())))
    assert await waiting_jobs(shards) == 2
    assert await count(shards, 10) == 2
    await events.take(sender("ada"), body(event("opened", clock.now())))
    assert await waiting_jobs(shards) == 3
    # Repeated ones alone ask for nothing.
    await count(shards)
    await events.take(sender("ada"), body(event("opened", clock.now(), "one-1")))
    assert await waiting_jobs(shards) == 3


async def test_too_many_that_wait_are_refused_whole_until_they_are_counted(shards: Shards) -> None:
    clock = ManualClock()
    events = taking(shards, clock, backlog=100)
    rows = [event("opened", clock.now()) for _ in range(120)]
    await events.take(sender("ada"), body(*rows[:60]))
    with pytest.raises(RateLimited) as refused:
        await events.take(sender("bob"), body(*rows[60:]))
    assert refused.value.retry_after == 5.0
    assert len(await shards.of(KEY).read(STORED, KEY.columns)) == 60
    await count(shards)
    assert (await events.take(sender("bob"), body(*rows[60:]))).accepted == 60


async def test_a_worker_counts_after_the_wait_and_ends_its_jobs(shards: Shards) -> None:
    events = taking(shards)
    async with counting(events, shards) as ended:
        now = SystemClock().now()
        await events.take(sender("ada"), body(watched(now, 0, 10), event("finished", now, video=LECTURE)))
        await all_counted(shards)
        async with asyncio.timeout(10):
            while not ended:  # noqa: ASYNC110 - the worker tells a list
                await asyncio.sleep(0.01)
    report = await Lectures(shards).of(KEY, LECTURE)
    assert (report.lecture.finished, report.lecture.watched_seconds) == (1, 10)
    assert ended == ["done"]


class Later(SystemClock):
    """Some minutes ahead."""

    def now(self) -> float:
        return super().now() + 200


async def test_after_a_dead_letter_events_are_tried_again(shards: Shards) -> None:
    events = taking(shards)
    await events.take(sender("ada"), body(event("opened", SystemClock().now())))
    own, ended = {QUEUE: {KIND: Failing(events.settings, events.counts)}}, list[str]()
    worker = Worker(shards, own, clock=SystemClock(), settings=QUEUES, observer=Noting(ended))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while not ended:  # noqa: ASYNC110 - the worker tells a list
            await asyncio.sleep(0.01)
    assert ended == ["dead"]
    worker.stop()
    await running
    await events.tend()
    assert await waiting_jobs(shards) == 0
    await _tended(shards)


async def _tended(shards: Shards) -> None:
    """Some minutes later, what waits is counted without another event."""
    events = taking(shards, Later())
    await events.tend()
    async with counting(events, shards, Later()):
        await all_counted(shards)


async def test_what_was_counted_long_ago_is_forgotten_and_cannot_come_again(shards: Shards) -> None:
    clock = ManualClock()
    events = taking(shards, clock, keep_days=7)
    old = body(watched(clock.now(), 0, 10, "old"))
    await events.take(sender("ada"), old)
    await count(shards)
    await events.take(sender("bob"), body(watched(clock.now(), 0, 10, "uncounted")))
    clock.advance(6.9 * 86400)
    await prune_events(shards, clock, events.settings)
    assert (await events.take(sender("ada"), old)).duplicates == 1
    clock.advance(0.3 * 86400)
    await prune_events(shards, clock, events.settings)
    kept = await shards.of(KEY).read(STORED, KEY.columns)
    assert [row["id"] for row in kept] == ["uncounted"]
    again = await events.take(sender("ada"), old)
    assert (again.accepted, [one.id for one in again.rejected]) == (0, ["old"])


async def test_progress_is_the_callers_own_and_instructors_see_everybody(shards: Shards) -> None:
    clock = ManualClock()
    events, lectures, now = taking(shards, clock), Lectures(shards), clock.now()
    for user, role in (("ada", "learner"), ("bob", "learner"), ("teacher", "instructor")):
        await put(shards, KEY, "members", user=user, name=f"N {user}", role=role, created_at=1.0, seen_at=1.0)
    await events.take(
        sender("ada"), body(watched(now, 0, 150), event("paused", now + 1, video=LECTURE, position=150.5))
    )
    await events.take(sender("teacher", learner=False), body(watched(now, 0, 20)))
    await count(shards)
    own = await lectures.for_student(KEY, "ada")
    assert [(one.id, one.position, one.watched) for one in own.own] == [(LECTURE, 150.5, 0.5)]
    assert (own.lectures, own.students) == (None, None)
    everything = await lectures.for_instructor(KEY, "teacher")
    assert [one.position for one in everything.own] == [20.0]
    assert [(one.viewers, one.views) for one in everything.lectures or []] == [(1, 1)]
    assert [(one.user, one.lectures, one.last_at is None) for one in everything.students or []] == [
        ("ada", 1, False),
        ("bob", 0, True),
    ]
    report = await lectures.of(KEY, LECTURE)
    assert [(one.user, one.watched) for one in report.viewers] == [("ada", 0.5)]
    with pytest.raises(NotFound):
        await lectures.of(KEY, "v-nothing")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_killed_workers_and_repeated_posts_count_every_event_once(shards: Shards, tmp_path: Path) -> None:
    chance, people = random.Random(23), [f"s{number}" for number in range(12)]
    events, now = taking(shards, batch=20), SystemClock().now()
    model: dict[str, list[set[int] | int]] = {user: [set(), 0] for user in people}
    posts: list[tuple[str, bytes]] = []
    for _ in range(150):
        user, rows = chance.choice(people), []
        for _ in range(chance.randrange(1, 30)):
            start = chance.randrange(290)
            end = min(start + chance.randrange(1, 20), 300)
            rows.append(watched(now, start, end))
            seen = model[user][0]
            assert isinstance(seen, set)
            seen.update(range(start, end))
            model[user][1] += end - start  # type: ignore[operator]
        posts.append((user, body(*rows)))
    killing = asyncio.create_task(_kill_again_and_again(shards, tmp_path, chance))
    repeated = 0
    for number, (user, sent) in enumerate(posts):
        await events.take(sender(user), sent)
        for again in chance.sample(posts[: number + 1], min(number + 1, 2)):
            repeated += (await events.take(sender(again[0]), again[1])).duplicates
        await asyncio.sleep(0.02)
    assert await killing == KILLS
    await _tended(shards)
    assert repeated > 1000
    report = await Lectures(shards).of(KEY, LECTURE, 1)
    expected = [sum(second in seen for seen, _ in model.values() if isinstance(seen, set)) for second in range(300)]
    assert report.curve.viewers == expected
    assert sum(report.curve.plays) == sum(total for _, total in model.values() if isinstance(total, int))
    assert report.lecture.watched_seconds == sum(report.curve.plays)
    assert (report.lecture.viewers, report.lecture.views) == (len(people), len(people))


KILLS = 8


async def _kill_again_and_again(shards: Shards, folder: Path, chance: random.Random) -> int:
    """Start a process that counts, and end it with SIGKILL in the middle."""
    given = json.dumps({"folder": str(folder), "addresses": addresses(shards), "batch": 20, "seconds": 60})
    for _ in range(KILLS):
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "tests.watching_process")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given.encode())
        process.stdin.close()
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"counting\n"
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        process.kill()
        await process.wait()
    return KILLS
