"""What a queue promises, on every database."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.actions import Act
from atomic_guide.engines.queues.claim import claim, release_leases
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease, LeaseLost
from atomic_guide.engines.queues.overview import count_jobs
from atomic_guide.engines.queues.priority import Facts
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.worker import Handler, Observer, Worker
from atomic_guide.errors import NotFound, Permanent, RetryLater
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queueing import declaring

SETTINGS = declaring(
    q=QueueRules(spacing_seconds=0.5, max_attempts=3, retry_first_seconds=1, retry_most_seconds=600),
    lease_seconds=30,
    heartbeat_seconds=0.1,
    poll_seconds=0.05,
    handover_seconds=0,
)
LEASES = Query("leases", "The end of every lease.", {None: "SELECT lease_until FROM jobs WHERE state = 'running'"})
NONE = Facts()
COURSES = [CourseKey.of("tenant", f"course-{number}") for number in range(8)]


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Installation:
    """A queue with workers whose jobs do what a test says."""

    def __init__(self, shards: Shards, clock: ManualClock) -> None:
        self.shards = shards
        self.clock = clock
        self.queues = Queues(shards, clock, SETTINGS)
        self.letters = DeadLetters(shards)
        self.observed: list[str] = []

    async def publish(
        self, key: CourseKey, subject: str = "s", unique_key: str | None = None, facts: Facts = NONE
    ) -> str | None:
        job = NewJob(queue="q", kind="k", subject=subject, unique_key=unique_key, facts=facts)

        async def work(tx: Transaction) -> str | None:
            return await self.queues.publish(tx, key, job)

        published = await self.shards.of(key).write(work)
        self.queues.wake("q")
        return published

    async def claim(self, owner: str = "w1", limit: int = 10) -> list[Lease]:
        now = self.clock.now()
        return await claim(self.shards, "q", owner, limit, (now, now + 30))

    @contextlib.asynccontextmanager
    async def working(self, do: Callable[[Lease], Awaitable[None]], concurrency: int = 4) -> AsyncIterator[Worker]:
        settings = msgspec.structs.replace(SETTINGS, slots=concurrency)
        observer = Noting(self.observed)
        worker = Worker(self.shards, {"q": {"k": Doing(do)}}, clock=self.clock, settings=settings, observer=observer)
        self.queues.on_wake(worker.wake)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(task, 10)

    async def states(self) -> list[str]:
        found = await count_jobs(self.shards)
        return sorted(row["state"] for row in found.jobs for _ in range(row["jobs"]))

    async def until_extended(self, key: CourseKey) -> None:
        """Wait for a heartbeat since the clock was moved."""
        for _ in range(200):
            (lease_until,) = [row["lease_until"] for row in await self.shards.place(key).shard.read(LEASES)]
            if lease_until == self.clock.now() + SETTINGS.lease_seconds:
                return
            await asyncio.sleep(0.02)
        pytest.fail("no heartbeat came")

    async def until(self, *states: str, passing: float = 0) -> None:
        """Wait for the states of all jobs, while `passing` seconds go by at each look."""
        for _ in range(200):
            if await self.states() == sorted(states):
                return
            self.clock.advance(passing)
            await asyncio.sleep(0.02)
        pytest.fail(f"the jobs are {await self.states()}, not {states}")


class Noting(Observer):
    """Keeps how runs end."""

    def __init__(self, observed: list[str]) -> None:
        self.observed = observed

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        self.observed.append(f"{job.kind} {outcome}")


class Doing(Handler):
    def __init__(self, do: Callable[[Lease], Awaitable[None]]) -> None:
        self.do = do

    async def run(self, lease: Lease) -> None:
        await self.do(lease)

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        pass

    async def buried(self, job: Job, reason: str) -> None:
        pass


@pytest.fixture
def installation(shards: Shards, clock: ManualClock) -> Installation:
    return Installation(shards, clock)


async def nothing(lease: Lease) -> None:
    pass


async def forever(lease: Lease) -> None:
    await asyncio.Event().wait()


async def test_a_job_exists_exactly_where_its_transaction_does(installation: Installation) -> None:
    async def work(tx: Transaction) -> None:
        await installation.queues.publish(tx, COURSES[0], NewJob(queue="q", kind="k", subject="s"))
        raise NotFound("the row beside it cannot be written")

    with pytest.raises(NotFound):
        await installation.shards.of(COURSES[0]).write(work)
    assert await installation.states() == []


async def test_every_job_of_every_shard_is_done_once(installation: Installation) -> None:
    done: list[str] = []

    async def do(lease: Lease) -> None:
        done.append(lease.job.id)

    published = [await installation.publish(key, f"s{number}") for key in COURSES for number in range(5)]
    async with installation.working(do), installation.working(do):
        await installation.until(*["done"] * 40)
    assert sorted(done) == sorted(filter(None, published))


async def test_a_unique_key_is_held_while_the_job_lives(installation: Installation) -> None:
    assert await installation.publish(COURSES[0], unique_key="u")
    assert await installation.publish(COURSES[0], unique_key="u") is None
    assert await installation.publish(COURSES[1], unique_key="u")
    async with installation.working(nothing):
        await installation.until("done", "done")
    assert await installation.publish(COURSES[0], unique_key="u")


async def test_the_best_priority_goes_first_over_all_shards_then_the_longest_wait(installation: Installation) -> None:
    for number, key in enumerate(COURSES):
        await installation.publish(key, f"low-{number}")
        installation.clock.advance(1)
    await installation.publish(COURSES[-1], "high", facts=Facts(live=True))
    first, *others = await installation.claim(limit=1), *await installation.claim(limit=3)
    assert [lease.job.subject for lease in first] == ["high"]
    assert sorted(lease.job.subject for lease in others) == ["low-0", "low-1", "low-2"]


async def test_only_one_of_many_claims_gets_a_job(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    claims = await asyncio.gather(*[installation.claim(f"w{number}") for number in range(20)])
    assert sum(map(len, claims)) == 1


async def test_a_shard_that_is_gone_does_not_hold_up_the_others(installation: Installation) -> None:
    for key in COURSES:
        await installation.publish(key)
    gone, other = installation.shards.all()
    await gone.shard.close()
    there = {key for key in COURSES if installation.shards.of(key).name == other.name}
    assert {lease.job.key for lease in await installation.claim()} == there
    assert 0 < len(there) < len(COURSES)


async def test_a_lease_that_ran_out_is_taken_over_and_the_late_result_refused(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    (late,) = await installation.claim("w1")
    assert await installation.claim("w2") == []
    installation.clock.advance(31)
    (taken,) = await installation.claim("w2")
    assert (taken.job.token, taken.job.attempts) == (late.job.token + 1, 2)

    async def change(tx: Transaction) -> None:
        pytest.fail("the late worker wrote")

    with pytest.raises(LeaseLost):
        await late.write(change)
    with pytest.raises(LeaseLost):
        await late.progress(0.5)
    await taken.progress(0.5)


async def test_the_leases_of_dead_workers_are_released(installation: Installation) -> None:
    for key in COURSES[:3]:
        await installation.publish(key)
    assert len(await installation.claim("machine-a:1", 2)) == 2
    assert len(await installation.claim("machine-b:1", 1)) == 1
    assert await release_leases(installation.shards, "machine-a:") == 2
    assert len(await installation.claim("machine-c:1")) == 2


async def test_a_heartbeat_keeps_a_long_job(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    async with installation.working(forever) as worker:
        await installation.until("running")
        for _ in range(4):
            installation.clock.advance(20)
            await installation.until_extended(COURSES[0])
            assert await installation.claim("thief") == []
        assert worker.running == 1


async def test_a_bad_job_is_retried_then_becomes_a_dead_letter_beside_good_ones(installation: Installation) -> None:
    attempts: list[int] = []

    async def do(lease: Lease) -> None:
        if lease.job.subject == "bad":
            attempts.append(lease.job.attempts)
            raise RetryLater("the disk is away", 0)

    await installation.publish(COURSES[0], "bad")
    for key in COURSES:
        await installation.publish(key, "good")
    async with installation.working(do, concurrency=1):
        await installation.until(*["done"] * 8, "dead")
    assert attempts == [1, 2, 3]
    assert Counter(installation.observed) == {"k done": 8, "k retried": 2, "k dead": 1}
    ((letter,), _) = await installation.letters.list()
    assert (letter.subject, letter.reason, letter.attempts) == ("bad", "the disk is away", 3)


async def test_an_unexpected_error_is_retried_and_named(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    async def do(lease: Lease) -> None:
        raise ZeroDivisionError

    await installation.publish(COURSES[0])
    async with installation.working(do):
        await installation.until("dead", passing=1)
    ((letter,), _) = await installation.letters.list()
    assert "ZeroDivisionError" in letter.reason


async def test_what_can_never_succeed_is_a_dead_letter_at_once_and_can_be_replayed(installation: Installation) -> None:
    tried: list[str] = []

    async def do(lease: Lease) -> None:
        tried.append(lease.job.id)
        if len(tried) == 1:
            raise Permanent("no such thing")

    job = await installation.publish(COURSES[0])
    assert job
    async with installation.working(do):
        await installation.until("dead")
        assert (await installation.letters.show(job)).reason == "no such thing"
        await installation.letters.replay(job, Act("ada", installation.clock.now()))
        await installation.until("done")
    with pytest.raises(NotFound):
        await installation.letters.show(job)
    assert tried == [job, job]


async def test_a_dead_letter_can_be_dropped(installation: Installation) -> None:
    async def do(lease: Lease) -> None:
        raise Permanent("no")

    job = await installation.publish(COURSES[0])
    assert job
    async with installation.working(do):
        await installation.until("dead")
    await installation.letters.drop(job, Act("ada", 0))
    assert await installation.states() == []
    with pytest.raises(NotFound):
        await installation.letters.replay(job, Act("ada", 0))


async def test_a_job_that_ends_its_workers_becomes_a_dead_letter(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    for _ in range(3):
        assert await installation.claim("w")
        installation.clock.advance(31)
    async with installation.working(forever):
        await installation.until("dead")


async def test_a_cancelled_job_stops_running(installation: Installation) -> None:
    stopped = asyncio.Event()

    async def do(lease: Lease) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await installation.publish(COURSES[0], "doomed")
    async with installation.working(do):
        await installation.until("running")

        async def work(tx: Transaction) -> int:
            return await installation.queues.cancel(tx, COURSES[0], "doomed")

        assert await installation.shards.of(COURSES[0]).write(work) == 1
        await asyncio.wait_for(stopped.wait(), 5)
    assert await installation.states() == ["cancelled"]


async def test_a_stopping_worker_hands_its_jobs_back_with_their_attempt(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    async with installation.working(forever):
        await installation.until("running")
    (lease,) = await installation.claim()
    assert lease.job.attempts == 1


async def test_a_cancelled_worker_hands_its_jobs_back_too(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    worker = Worker(installation.shards, {"q": {"k": Doing(forever)}}, clock=installation.clock, settings=SETTINGS)
    task = asyncio.create_task(worker.run())
    await installation.until("running")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await installation.states() == ["queued"]


async def test_people_are_told_how_many_are_before_them(installation: Installation) -> None:
    for number, key in enumerate(COURSES):
        await installation.publish(key, f"s{number}")
        installation.clock.advance(1)
    assert [await installation.queues.position(key, f"s{n}") for n, key in enumerate(COURSES)] == list(range(8))
    assert await installation.queues.position(COURSES[0], "unknown") is None


async def test_a_job_of_an_unknown_kind_says_so(installation: Installation) -> None:
    await installation.publish(COURSES[0])
    worker = Worker(installation.shards, {"q": {}}, clock=installation.clock, settings=SETTINGS)
    task = asyncio.create_task(worker.run())
    await installation.until("dead")
    worker.stop()
    await asyncio.wait_for(task, 5)
    ((letter,), _) = await installation.letters.list()
    assert "kind k" in letter.reason
