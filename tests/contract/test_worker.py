"""What a worker promises, on every database."""

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import Clock, ManualClock, SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.busy import Figures
from atomic_guide.engines.queues.calling_off import call_off
from atomic_guide.engines.queues.claim import claim
from atomic_guide.engines.queues.controls import Controls
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Observer
from atomic_guide.engines.queues.inspect import show_job, view_queues
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease, LeaseLost
from atomic_guide.engines.queues.load import Load
from atomic_guide.engines.queues.priority import Facts
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Handler, Worker
from atomic_guide.errors import Conflict, MachineTrouble, NotFound, OutOfSpace
from tests.engines import ENGINES, opened_shards
from tests.moving import addresses, open_again
from tests.postgres import Cluster
from tests.queueing import declaring

COURSES = [CourseKey.of("tenant", f"course-{number}") for number in range(8)]
PUT = Query(
    "put",
    "An effect of a job.",
    {
        None: "INSERT INTO moderation (bucket, tenant, course, revision, at, moderator, action, subject)"
        " VALUES (:bucket, :tenant, :course, :revision, 0, 'w', 'done', :subject)"
    },
)
EFFECTS = Query("effects", "Effects of jobs.", {None: "SELECT subject FROM moderation"})
STATES = Query("states", "All live and dead jobs.", {None: "SELECT state, attempts, troubles, error FROM jobs"})
Do = Callable[[Lease], Awaitable[None]]


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def quick(**values: Any) -> QueueSettings:
    """Settings with the queues `q` and `slow`, and shortened times."""
    rules = {"q": QueueRules(retry_first_seconds=0.001), "slow": QueueRules()}
    times = {"heartbeat_seconds": 0.1, "poll_seconds": 0.05, "handover_seconds": 0}
    return declaring(**{**rules, **times, **values})


class Doing(Handler):
    def __init__(self, do: Do) -> None:
        self.do = do

    async def run(self, lease: Lease) -> None:
        await self.do(lease)

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        pass

    async def buried(self, job: Job, reason: str) -> None:
        pass


class Noting(Observer):
    """Keeps what a worker tells."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.refusals: dict[str, str] = {}
        self.starts: list[tuple[str, float]] = []

    def started(self, job: Job, waited: float) -> None:
        self.starts.append((job.subject, waited))

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1

    def refused(self, queue: str, reason: str) -> None:
        self.refusals[queue] = reason


class Fixed(Load):
    """A machine whose load is what a test says."""

    def __init__(self, load: float) -> None:
        super().__init__()
        self.load = load

    def figures(self, now: float) -> Figures:
        return Figures(0.0, self.load, 0)


class Floor:
    """Queues, and workers whose jobs do what a test says."""

    def __init__(self, shards: Shards, clock: Clock, settings: QueueSettings) -> None:
        self.shards = shards
        self.clock = clock
        self.settings = settings
        self.queues = Queues(shards, clock, settings)
        self.noted = Noting()

    async def publish(
        self, subject: str = "s", *, queue: str = "q", course: int = 0, count: int = 1, **more: Any
    ) -> str:
        key = COURSES[course]
        jobs = [NewJob(queue=queue, kind="k", subject=subject, **more)] * count

        async def work(tx: Transaction) -> str:
            return (await self.queues.publish_many(tx, key, jobs))[0] or ""

        published = await self.shards.of(key).write(work)
        self.queues.wake(queue)
        return published

    @contextlib.asynccontextmanager
    async def working(self, do: Do, *, load: Load | None = None, **other: Do) -> AsyncIterator[Worker]:
        handlers = {"q": {"k": Doing(do)}, **{queue: {"k": Doing(own)} for queue, own in other.items()}}
        worker = Worker(
            self.shards, handlers, clock=self.clock, settings=self.settings, observer=self.noted, load=load or Fixed(0)
        )
        self.queues.on_wake(worker.wake)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(task, 10)

    async def rows(self) -> list[dict[str, Any]]:
        found = [row for shard in self.shards.all() for row in await shard.read(STATES)]
        return [{name: row[name] for name in ("state", "attempts", "troubles", "error")} for row in found]

    async def until(self, done: Callable[[], bool] | Counter[str], passing: float = 0) -> None:
        """Wait for a condition, or for the outcomes of all runs, while `passing` seconds go by at each look."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            if self.noted.outcomes == done if isinstance(done, Counter) else done():
                return
            if passing:
                assert isinstance(self.clock, ManualClock)
                self.clock.advance(passing)
            await asyncio.sleep(0.01)
        pytest.fail(f"it did not come to that: {self.noted.outcomes}, {await self.rows()}")


async def nothing(lease: Lease) -> None:
    pass


async def forever(lease: Lease) -> None:
    await asyncio.Event().wait()


def effect(lease: Lease) -> Callable[[Transaction], Awaitable[None]]:
    async def work(tx: Transaction) -> None:
        params = {**lease.job.key.columns, "revision": int(lease.job.id[-6:], 16), "subject": lease.job.subject}
        await tx.execute(PUT, params)

    return work


async def test_a_slow_queue_does_not_hold_up_another(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick(slots=6, slow=QueueRules(concurrency=100)))
    await floor.publish(queue="slow", count=20)
    async with floor.working(nothing, slow=forever) as worker:
        await floor.until(lambda: worker.running == 5)
        await floor.publish(count=30)
        await floor.until(Counter(done=30))
        assert worker.running == 5


async def test_scarce_slots_are_shared_by_weight(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick(slots=8, q=QueueRules(weight=3), slow=QueueRules(weight=1)))
    running: Counter[str] = Counter()

    async def do(lease: Lease) -> None:
        running[lease.job.queue] += 1
        if running.total() == 8:
            shares.append((running["q"], running["slow"]))
        await asyncio.sleep(dice.uniform(0.03, 0.09))
        running[lease.job.queue] -= 1

    dice = random.Random(1)
    shares: list[tuple[int, int]] = []
    await floor.publish(count=600)
    await floor.publish(queue="slow", count=600)
    async with floor.working(do, slow=do):
        await floor.until(lambda: len(shares) > 300)
    late = shares[200:300]
    assert 5 <= sum(share[0] for share in late) / len(late) <= 7


async def test_thousands_of_jobs_are_done_once_and_leave_no_row(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick())
    for course in range(8):
        await floor.publish(course=course, count=250)
    async with floor.working(nothing):
        await floor.until(Counter(done=2000))
    assert await floor.rows() == []


async def test_a_job_that_holds_the_loop_up_for_longer_than_its_lease_keeps_it(shards: Shards, tmp_path: Path) -> None:
    floor = Floor(shards, SystemClock(), quick(lease_seconds=2.4, heartbeat_seconds=0.8))
    blocked, taken, found = threading.Event(), [], addresses(shards)

    async def rob() -> None:
        """Another process, which takes every job whose lease has run out."""
        others = await open_again(tmp_path, found)
        while blocked.is_set():
            now = floor.clock.now()
            taken.extend(await claim(others, "q", "robber", 10, (now, now + 30)))
            await asyncio.sleep(0.05)
        await others.close()

    async def hold_up(lease: Lease) -> None:
        blocked.set()
        robber = threading.Thread(target=lambda: asyncio.run(rob()))
        robber.start()
        time.sleep(6)  # noqa: ASYNC251 - the point
        blocked.clear()
        await asyncio.to_thread(robber.join, 10)

    await floor.publish()
    async with floor.working(hold_up):
        await floor.until(Counter(done=1))
    assert taken == []


async def test_finish_makes_the_effect_and_the_end_one(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick())

    async def do(lease: Lease) -> None:
        if lease.job.subject == "torn":

            async def broken(tx: Transaction) -> None:
                await effect(lease)(tx)
                raise NotFound("what it is about is gone")

            await lease.finish(broken)
        await lease.finish(effect(lease))

    await floor.publish("torn")
    await floor.publish("whole")
    async with floor.working(do):
        await floor.until(lambda: floor.noted.outcomes["done"] == 1 and floor.noted.outcomes["dead"] == 1, passing=1)
    assert [row["subject"] for shard in shards.all() for row in await shard.read(EFFECTS)] == ["whole"]
    assert [row["state"] for row in await floor.rows()] == ["dead"]


async def test_finish_of_a_lost_lease_changes_nothing(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick())
    await floor.publish()
    now = clock.now()
    (late,) = await claim(shards, "q", "w1", 1, (now, now + 30))
    clock.advance(31)
    (taken,) = await claim(shards, "q", "w2", 1, (clock.now(), clock.now() + 30))
    with pytest.raises(LeaseLost):
        await late.finish(effect(late))
    await taken.finish(effect(taken))
    assert sum([len(await shard.read(EFFECTS)) for shard in shards.all()]) == 1
    assert await floor.rows() == []


async def test_a_job_of_three_hours_runs_once(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick(lease_seconds=300, q=QueueRules(time_limit_seconds=4 * 3600)))
    extended = Query("extended", "Leases.", {None: "SELECT lease_until FROM jobs"})
    await floor.publish()
    async with floor.working(forever) as worker, floor.working(forever):
        await floor.until(lambda: len(floor.noted.starts) == 1)
        for _ in range(3 * 3600 // 250):
            clock.advance(250)
            worker._heart.hurry()
            while True:
                (until,) = [row["lease_until"] for shard in shards.all() for row in await shard.read(extended)]
                if until == clock.now() + 300:
                    break
                await asyncio.sleep(0)
                worker._heart.hurry()
    assert len(floor.noted.starts) == 1


async def test_a_loop_that_is_busy_for_seconds_loses_no_lease(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick(lease_seconds=3, heartbeat_seconds=0.5))

    async def do(lease: Lease) -> None:
        for _ in range(3):
            # The trap itself: a handler that does not let go of the loop.
            time.sleep(2)  # noqa: ASYNC251
            await asyncio.sleep(0.1)
        await lease.finish(effect(lease))

    await floor.publish()
    async with floor.working(do):
        await floor.until(lambda: floor.noted.outcomes.total() > 0)
    assert floor.noted.outcomes == Counter(done=1)
    assert len(floor.noted.starts) == 1


async def test_a_job_that_takes_too_long_is_stopped_and_has_failed(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick(lease_seconds=3600, q=QueueRules(time_limit_seconds=20, max_attempts=2)))
    stopped: list[str] = []

    async def do(lease: Lease) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(lease.job.id)

    job = await floor.publish()
    async with floor.working(do):
        await floor.until(lambda: bool(floor.noted.starts))
        await floor.until(Counter(retried=1, dead=1), passing=5)
    assert len(stopped) == 2
    assert (await DeadLetters(shards).show(job)).reason == "it ran longer than its time limit of 20 s"


async def test_trouble_of_the_machine_is_no_attempt_and_is_seen(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick())
    errors = [OutOfSpace("the disk is full"), MachineTrouble("no memory"), OutOfSpace("the disk is full")]

    async def do(lease: Lease) -> None:
        if errors:
            raise errors.pop()

    job = await floor.publish()
    async with floor.working(do):
        await floor.until(Counter(trouble=1))
        shown = await show_job(shards, job, clock.now())
        assert (shown["attempts"], shown["troubles"], shown["error"]) == (0, 1, "the disk is full")
        await floor.until(Counter(trouble=3, done=1), passing=1)


async def test_trouble_has_a_bound(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick(trouble_most=3))

    async def do(lease: Lease) -> None:
        raise OutOfSpace("the disk is full")

    job = await floor.publish()
    async with floor.working(do):
        await floor.until(Counter(trouble=2, dead=1), passing=1)
    assert "the disk is full" in (await DeadLetters(shards).show(job)).reason


async def test_a_process_that_has_grown_takes_no_further_jobs(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick(memory_mb=256))

    class Grown(Fixed):
        memory = 300 * 2**20

        def figures(self, now: float) -> Figures:
            return Figures(0.0, 0.0, self.memory)

    load = Grown(0)
    async with floor.working(nothing, load=load):
        await floor.publish()
        await asyncio.sleep(0.3)
        assert floor.noted.refusals == {"q": "memory"}
        assert not floor.noted.starts
        load.memory = 200 * 2**20
        await floor.until(Counter(done=1))
        assert floor.noted.refusals == {"q": ""}


@pytest.mark.parametrize("woken", [True, False])
async def test_a_job_that_is_called_off_stops_running(shards: Shards, *, woken: bool) -> None:
    floor = Floor(shards, SystemClock(), quick(heartbeat_seconds=5, lease_seconds=30))
    job = await floor.publish()
    async with floor.working(forever) as worker:
        await floor.until(lambda: worker.running == 1)
        await asyncio.sleep(0.3)
        await call_off(shards, job, time.time())
        if woken:
            floor.queues.wake("q")
        began = time.monotonic()
        await floor.until(lambda: worker.running == 0)
        assert time.monotonic() - began < (0.5 if woken else 1.5)
    assert floor.noted.outcomes == Counter(lost=1)
    assert (await show_job(shards, job, 0))["state"] == "cancelled"
    with pytest.raises(Conflict):
        await call_off(shards, job, time.time())


async def test_a_stopping_worker_hands_back_what_it_runs_and_what_it_has_claimed_ahead(
    shards: Shards, clock: ManualClock
) -> None:
    floor = Floor(shards, clock, quick(q=QueueRules(concurrency=4)))
    await floor.publish(count=12)
    async with floor.working(forever) as worker:
        await floor.until(lambda: worker.running == 4)
    assert [(row["state"], row["attempts"]) for row in await floor.rows()] == [("queued", 0)] * 12
    assert floor.noted.outcomes["returned"] == 4


async def test_a_worker_that_is_woken_in_the_moment_in_which_it_stops_stops(shards: Shards, clock: ManualClock) -> None:
    floor = Floor(shards, clock, quick())
    for turns in range(12):
        async with floor.working(nothing) as worker:
            await asyncio.sleep(0.06)
            worker.stop()
            for _ in range(turns):
                await asyncio.sleep(0)
            worker.wake()


async def test_what_is_not_urgent_is_held_while_the_machine_is_busy_and_no_longer_than_its_bound(
    shards: Shards, clock: ManualClock
) -> None:
    floor = Floor(shards, clock, quick(q=QueueRules(hold_when_busy=True), hold_most_seconds=60))
    load = Fixed(100)
    async with floor.working(nothing, load=load, slow=nothing):
        await floor.until(lambda: floor.noted.refusals.get("q") == "held")
        await floor.publish("plain")
        await floor.publish("live", facts=Facts(live=True))
        await floor.publish("other", queue="slow")
        await floor.until(lambda: len(floor.noted.starts) == 2)
        await asyncio.sleep(0.2)
        assert {subject for subject, _ in floor.noted.starts} == {"live", "other"}
        clock.advance(59)
        await asyncio.sleep(0.2)
        assert len(floor.noted.starts) == 2
        clock.advance(2)
        await floor.until(lambda: len(floor.noted.starts) == 3)
        await floor.publish("later")
        await asyncio.sleep(0.2)
        assert len(floor.noted.starts) == 3
        load.load = 0
        await floor.until(lambda: len(floor.noted.starts) == 4)


async def test_nothing_waits_on_a_machine_that_is_not_busy(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick(q=QueueRules(hold_when_busy=True), poll_seconds=5))
    async with floor.working(nothing):
        await asyncio.sleep(0.2)
        await floor.publish("plain")
        await floor.until(Counter(done=1))
    ((_, waited),) = floor.noted.starts
    assert waited < 1


async def test_a_pause_is_durable_and_seen_within_a_second(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick())
    controls = Controls(shards.directory)
    await controls.pause("q", time.time())
    await floor.publish()
    async with floor.working(nothing):
        await asyncio.sleep(0.2)
        assert not floor.noted.starts
        (view,) = [view for view in (await view_queues(shards, ["q"], time.time())).queues if view.queue == "q"]
        assert view.paused_since
        assert (view.depth, view.states) == (1, {"queued": 1})
        assert view.next[0]["why"].startswith("nothing gives it precedence")
        assert await controls.resume("q", time.time())
        began = time.monotonic()
        await floor.until(Counter(done=1))
        assert time.monotonic() - began < 1
        await controls.pause("q", time.time())
        await asyncio.sleep(0.9)
        await floor.publish()
        await asyncio.sleep(0.3)
        assert floor.noted.outcomes == Counter(done=1)
        # It goes on by itself where the pause has an end.
        await controls.pause("q", time.time(), time.time() + 0.5)
        await floor.until(Counter(done=2))
    assert not await Controls(shards.directory).resume("slow", time.time())


async def test_the_rate_of_a_queue_holds_over_all_workers(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick(q=QueueRules(per_second=40)))
    await floor.publish(count=400)
    began = time.monotonic()
    async with floor.working(nothing), floor.working(nothing), floor.working(nothing):
        await floor.until(lambda: len(floor.noted.starts) >= 80)
        seconds = time.monotonic() - began
        started = len(floor.noted.starts)
    assert started <= 2 + 40 * (seconds + 0.5)
    assert seconds < 4


async def test_a_live_job_starts_next_though_others_are_claimed_ahead(shards: Shards) -> None:
    floor = Floor(shards, SystemClock(), quick(q=QueueRules(concurrency=2)))

    async def do(lease: Lease) -> None:
        await asyncio.sleep(0.002)

    await floor.publish(count=2000)
    async with floor.working(do):
        await floor.until(lambda: len(floor.noted.starts) > 300)
        before = len(floor.noted.starts)
        await floor.publish("live", facts=Facts(live=True))
        await floor.until(lambda: any(subject == "live" for subject, _ in floor.noted.starts))
    place = [subject for subject, _ in floor.noted.starts].index("live")
    assert place - before < 120
    assert dict(floor.noted.starts)["live"] < 0.25
