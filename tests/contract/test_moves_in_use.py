"""A move while its course is used: nothing is lost, doubled or brought back, and nobody reads what is old."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.moves import Mover, Scope, verify
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.claim import claim
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.lease import Lease, LeaseLost
from atomic_guide.engines.queues.settings import QueueRules
from tests.engines import ENGINES, opened_shards
from tests.moving import ADD, FOLLOWING, Use, beside, fill, message, other, rows_on, seqs, where
from tests.postgres import Cluster
from tests.queueing import declaring

KEY = CourseKey.of("t1", "algebra")
BUCKET = Scope(DEFAULT_ZONE, KEY.bucket)
LEASE_SECONDS = 30


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def test_nothing_is_lost_doubled_or_brought_back_under_writers_and_readers(
    shards: Shards, tmp_path: Path
) -> None:
    await fill(shards, KEY, 200)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    async with beside(shards, tmp_path) as elsewhere:
        use = Use(KEY)
        # Half of them in a process that hears of the move only by being refused.
        async with use.going_on([shards, elsewhere], writers=8, readers=4):
            for _ in range(2):
                target = other(shards, KEY)
                before = use.written
                move = await mover.carry_out((await mover.start(BUCKET, target)).id)
                assert (move.state, move.error) == ("done", None)
                await use.more_than(use.written)
                assert use.written > before
        assert await seqs(shards, KEY) == sorted({*range(1, 201), *use.kept})
        assert use.removed
        assert await rows_on(shards.named(other(shards, KEY)), KEY.bucket) == 0
        assert await verify(shards) == []


async def test_a_group_commit_goes_on_across_a_move(shards: Shards) -> None:
    async def write(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
        await tx.execute_many(ADD, [message(KEY, seq) for seq in items])
        return items

    group = GroupCommit(write)
    numbers = itertools.count(1)
    stored: list[int] = []
    mover = Mover(shards, "mover", limits=FOLLOWING)
    move = await mover.start(BUCKET, other(shards, KEY))
    moving = asyncio.create_task(mover.carry_out(move.id))

    async def post() -> None:
        while not moving.done():
            stored.append(await group.add(shards.of(KEY), next(numbers)))

    await asyncio.gather(*(post() for _ in range(8)))
    assert (await moving).state == "done"
    assert await group.add(shards.of(KEY), next(numbers)) == len(stored) + 1
    await group.close()
    assert await seqs(shards, KEY) == list(range(1, len(stored) + 2))


class Jobs:
    """A queue with one job of the course."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.clock = ManualClock()
        self.queues = Queues(shards, self.clock, declaring(q=QueueRules()))

    async def publish(self) -> None:
        job = NewJob(queue="q", kind="k", subject="s")
        await self.shards.of(KEY).write(lambda tx: self.queues.publish(tx, KEY, job))

    async def claim(self, owner: str) -> list[Lease]:
        now = self.clock.now()
        return await claim(self.shards, "q", owner, 10, (now, now + LEASE_SECONDS))


async def test_a_job_goes_along_with_its_lease(shards: Shards) -> None:
    jobs = Jobs(shards)
    await jobs.publish()
    (lease,) = await jobs.claim("one")
    mover = Mover(shards, "mover", limits=FOLLOWING)
    await mover.carry_out((await mover.start(BUCKET, other(shards, KEY))).id)
    assert await jobs.claim("two") == []
    await lease.progress(0.5)
    jobs.clock.advance(LEASE_SECONDS + 1)
    (taken,) = await jobs.claim("two")
    assert taken.job.id == lease.job.id
    for late in (lease.progress(0.9), lease.write(lambda tx: tx.execute(ADD, message(KEY, 1)))):
        with pytest.raises(LeaseLost):
            await late
    await taken.progress(0.7)
    assert await seqs(shards, KEY) == []


async def test_a_job_is_claimed_once_while_its_bucket_moves(shards: Shards) -> None:
    jobs = Jobs(shards)
    for _ in range(20):
        await jobs.publish()
    mover = Mover(shards, "mover", limits=FOLLOWING)
    move = await mover.start(BUCKET, other(shards, KEY))
    moving = asyncio.create_task(mover.carry_out(move.id))
    claimed: list[str] = []
    while len(claimed) < 20:
        now = jobs.clock.now()
        claimed += [lease.job.id for lease in await claim(shards, "q", "w", 1, (now, now + LEASE_SECONDS))]
        await asyncio.sleep(0.002)
    assert (await moving).state == "done"
    assert await jobs.claim("w") == []
    assert len(set(claimed)) == 20


async def test_a_course_is_pinned_while_it_is_used(shards: Shards, tmp_path: Path) -> None:
    neighbour = CourseKey("t2", "cneighbour", KEY.bucket)
    await fill(shards, neighbour, 5)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    home = where(shards, KEY)
    async with beside(shards, tmp_path) as elsewhere:
        use = Use(KEY)
        async with use.going_on([shards, elsewhere], writers=4, readers=2):
            for _ in range(2):
                scope = Scope.of_course(DEFAULT_ZONE, KEY)
                move = await mover.carry_out((await mover.start(scope, other(shards, KEY))).id)
                assert (move.state, move.error) == ("done", None)
                await use.more_than(use.written)
    assert await seqs(shards, KEY) == sorted(use.kept)
    assert (where(shards, KEY), where(shards, neighbour)) == (home, home)
    assert await verify(shards) == []
