"""What operators see of queues, jobs and dead letters and do to them, on every database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import ManualClock, iso
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.deadletter import Wanted
from atomic_guide.engines.queues.dryrun import foresee
from atomic_guide.engines.queues.edit import Edit
from atomic_guide.engines.queues.many import Task
from atomic_guide.engines.queues.paging import FAR
from atomic_guide.engines.queues.retry import what_helps
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.errors import Conflict, Invalid, NotFound
from atomic_guide.operations.jobs.desk import Desk, Lane, Rules
from atomic_guide.operations.jobs.letters import Letters
from atomic_guide.operations.scaling.audit import entries
from tests.contract.test_dead_letters import KEYS, Office
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

SETTINGS = QueueSettings(video=QueueRules(weight=2.0, time_limit_seconds=100.0))

SPEND = Query("spend", "Take a job's other attempts.", {None: "UPDATE jobs SET max_attempts = attempts WHERE id = :id"})


async def spend(shards: Shards, key: CourseKey, job: str) -> None:
    """Take a job's other attempts, so that its end was that of the last one."""

    async def work(tx: Transaction) -> None:
        await tx.execute(SPEND, {"id": job})

    await shards.of(key).write(work)


class Desks:
    """The desks over databases, and an office that makes jobs."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.woken: list[str] = []
        self.told: list[str] = []
        told = {"k": self._tell}
        self.queues = Desk(office.shards, office.clock, Rules(SETTINGS, 900.0), told, self.woken.append)
        self.letters = Letters(office.shards, office.clock, SETTINGS, self.woken.append)

    async def _tell(self, _tx: Any, _key: Any, subject: str) -> None:
        self.told.append(subject)

    async def lane(self, queue: str = "video") -> Lane:
        return next(lane for lane in (await self.queues.lanes(ended=False)).queues if lane.queue == queue)

    async def published(self, count: int) -> list[str]:
        found = []
        for number in range(count):
            self.office.clock.advance(1)
            found.append(await self.office.publish(KEYS[number % 6], subject=f"s{number}"))
        return [job for job in found if job]

    async def spent(self, key: Any = KEYS[0], reason: str = "the store is silent", **job: Any) -> str:
        """A letter that had used up its attempts."""
        letter = await self.office.letter(key, reason, **job)
        await spend(self.office.shards, key, letter)
        return letter


@pytest.fixture(params=ENGINES)
async def desks(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Desks]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        yield Desks(Office(shards, ManualClock()))


async def test_a_lane_has_its_goal_its_share_and_who_paused_it(desks: Desks) -> None:
    await desks.published(3)
    await desks.spent()
    desks.office.clock.advance(60)
    lane = await desks.lane()
    assert (lane.depth, lane.states) == (3, {"queued": 3, "dead": 1})
    assert (lane.weight, lane.goal_seconds, lane.paused_since, lane.paused_by) == (2.0, 900.0, None, None)
    assert lane.oldest_wait_seconds >= 60
    await desks.queues.pause("video", "ada", "the store moves")
    since = (await desks.lane()).paused_since
    desks.office.clock.advance(5)
    await desks.queues.pause("video", "ben")
    assert ((await desks.lane()).paused_since, (await desks.lane()).paused_by) == (since, "ada")
    assert (await desks.lane()).paused_why == "the store moves"
    assert await desks.queues.resume("video", "ben")
    assert not await desks.queues.resume("video", "ben")
    assert (await desks.lane()).paused_by is None
    desks.office.clock.advance(1)
    until = await desks.queues.pause("video", "ada", seconds=1800)
    assert (await desks.lane()).paused_until == until
    desks.office.clock.advance(600)
    await desks.queues.pause("video", "ben", seconds=60)
    lane = await desks.lane()
    assert (lane.paused_by, lane.paused_until) == ("ada", iso(desks.office.clock.now() + 60))
    desks.office.clock.advance(60)
    lane = await desks.lane()
    assert (lane.paused_since, lane.paused_until, lane.paused_by) == (None, None, None)
    assert not await desks.queues.resume("video", "ben"), "it has gone on by itself"
    await desks.queues.pause("video", "cyd")
    lane = await desks.lane()
    assert (lane.paused_since, lane.paused_until) == (iso(desks.office.clock.now()), None)
    noted = [(deed.what, deed.who) for deed in await entries(desks.office.shards.directory, fleet="queue video")]
    assert [who for what, who in noted[:3]] == ["cyd", "ben", "ada"]
    assert noted[3:] == [("queue resumed", "ben"), ("queue paused", "ben"), ("queue paused", "ada")]
    with pytest.raises(NotFound, match="there are video, analytics"):
        await desks.queues.pause("vidoe", "ada")


@pytest.mark.parametrize("state", ["queued", "delayed", "cancelled"])
async def test_pages_of_jobs_are_whole_and_in_order_over_all_shards(desks: Desks, state: Any) -> None:
    jobs = await desks.published(7)
    if state == "delayed":
        jobs = [await desks.office.publish(key, delay=3600.0) or "" for key in KEYS]
    if state == "cancelled":
        for job in jobs:
            desks.office.clock.advance(1)
            await desks.queues.cancel(job)
        assert desks.told == [f"s{number}" for number in range(7)]
        assert desks.woken == ["video"] * 7
    seen: list[str] = []
    ranks: list[Any] = []
    after = None
    while True:
        page = await desks.queues.jobs("video", state, after, 3)
        seen += [job.id for job in page.jobs]
        ranks += [job.rank for job in page.jobs]
        assert {job.state for job in page.jobs} <= {state}
        if (after := page.next) is None:
            break
    assert sorted(seen) == sorted(jobs)
    if state == "queued":
        # Jobs of one tenant stand apart, so that they are not in the order in which they came.
        assert ranks == sorted(ranks)
    else:
        assert seen == sorted(jobs, reverse=True)


async def test_one_job_is_shown_wherever_it_is(desks: Desks) -> None:
    (job,) = await desks.published(1)
    shown = await desks.queues.job(job)
    assert (shown.state, shown.attempts, shown.max_attempts, shown.ended_at) == ("queued", 0, 4, None)
    assert await desks.queues.cancel(job) == "video"
    shown = await desks.queues.job(job)
    assert (shown.state, shown.max_attempts) == ("cancelled", None)
    assert shown.ended_at is not None
    with pytest.raises(Conflict):
        await desks.queues.cancel(job)
    with pytest.raises(NotFound):
        await desks.queues.job("j-none")
    with pytest.raises(NotFound):
        await desks.queues.jobs("vidoe", "queued", None, 3)
    for after in ("nonsense", "nan~j", "inf~j"):
        with pytest.raises(Invalid):
            await desks.queues.jobs("video", "queued", after, 3)


async def test_letters_are_paged_searched_and_told_apart_by_what_helps(desks: Desks) -> None:
    fix = [await desks.office.letter(KEYS[number], "The file STOPS", subject=f"v{number}") for number in range(4)]
    again = [await desks.spent(KEYS[number], kind="mail") for number in range(3)]
    off = await desks.office.letter(KEYS[5], "the disk is full (put off 3 times)")
    first = await desks.letters.page(Wanted(), None, 5)
    second = await desks.letters.page(Wanted(), first.next, 5)
    assert [one.id for one in (*first.letters, *second.letters)] == [off, *reversed(again), *reversed(fix)]
    assert second.next is None
    counted = {(one.kind, one.helps): one.letters for one in first.counts}
    assert counted == {("k", "fix"): 4, ("k", "again"): 1, ("mail", "again"): 3}

    async def found(**wanted: Any) -> set[str]:
        page = await desks.letters.page(Wanted(**wanted), None, 100)
        assert all(one.helps == what_helps(one.attempts, one.max_attempts, one.reason) for one in page.letters)
        return {one.id for one in page.letters}

    assert await found(helps="again") == {*again, off}
    assert await found(helps="fix") == set(fix)
    assert await found(text="file stops") == set(fix)
    assert await found(text=fix[0].upper()) == {fix[0]}
    assert await found(text="v3") == {fix[3]}
    assert await found(text="mai") == set(again)
    assert await found(text=KEYS[5].course) == {off}
    whole = await desks.letters.show(fix[0])
    assert (whole.letter.payload, whole.letter.helps, whole.actions) == ({}, "fix", [])


async def test_a_dry_run_says_what_each_would_come_to_and_does_nothing(desks: Desks) -> None:
    broken = await desks.office.letter(KEYS[0], "broken")
    spent = await desks.spent(KEYS[1], payload={"n": 1})
    slow = await desks.spent(KEYS[2], "it ran longer than its time limit of 100 s")
    quick = await desks.spent(KEYS[3], "it ran longer than its time limit of 50 s")
    held = await desks.spent(KEYS[4], unique_key="u")
    assert await desks.office.publish(KEYS[4], unique_key="u")
    named = [broken, spent, slow, quick, held, "j-none"]
    plan = await desks.letters.plan(named, Wanted(), [])
    assert {one.id: one.outcome for one in plan.letters} == {
        broken: "dies", spent: "runs", slow: "dies", quick: "runs", held: "held",
    }  # fmt: skip
    assert set(plan.refused) == {"j-none"}
    assert (plan.count("runs"), plan.count("dies"), plan.count("held"), plan.complete) == (2, 2, 1, True)
    settings = {group.why: group.setting for group in plan.groups}
    assert settings["its time limit is still 100 s"] == "queues.video.time_limit_seconds"
    # By a filter, with an edit that fits one of them, and no more than some.
    edited = await desks.letters.plan([], Wanted(kind="k"), [Edit("n", 2)])
    assert [one.id for one in edited.letters] == [spent]
    assert set(edited.refused) == {broken, slow, quick, held}
    assert (await desks.letters.plan([], Wanted(kind="k"), [], most=2)).complete is False
    drops = await desks.letters.plan([broken], Wanted(), None)
    assert [one.outcome for one in drops.letters] == ["drops"]
    assert len(await desks.office.dead()) == 5
    assert await desks.office.log() == []


async def test_named_letters_are_replayed_once_each_and_noted(desks: Desks) -> None:
    dead = [await desks.spent(key) for key in KEYS[:4]]
    done = await desks.letters.do(Task("replay", "ada", Wanted(), jobs=(*dead[:3], "j-none")), None)
    assert (done.counts, set(done.refused), done.complete) == ({"replayed": 3}, {"j-none"}, True)
    assert "video" in desks.woken
    assert await desks.office.dead() == dead[3:]
    again = await desks.letters.do(Task("replay", "ada", Wanted(), jobs=dead), done.run)
    assert again.counts == {"replayed": 1}
    assert {(one.actor, one.run) for one in (await desks.letters.audit("", 10)).actions} == {("ada", done.run)}
    dropped = await desks.spent()
    assert (await desks.letters.do(Task("drop", "ben", Wanted(), jobs=[dropped]), None)).counts == {"dropped": 1}
    (entry,) = (await desks.letters.audit(dropped, 10)).actions
    assert (entry.actor, entry.action) == ("ben", "dead-letter.dropped")
    with pytest.raises(Invalid):
        await desks.letters.do(Task("drop", "ben", Wanted(), jobs=[dropped]), "no run")


async def test_a_run_that_has_too_little_time_breaks_off_and_goes_on(desks: Desks) -> None:
    for number in range(6):
        await desks.spent(KEYS[number])
    task = Task("replay", "ada", Wanted(kind="k"), rate=15.0, seconds=1.0)

    class Slow(ManualClock):
        """Each look at it takes a third of a second."""

        def monotonic(self) -> float:
            self.advance(0.33)
            return super().monotonic()

    clock = Slow(desks.office.clock.now())
    letters = Letters(desks.office.shards, clock, SETTINGS, desks.woken.append)
    first = await letters.do(task, None)
    assert not first.complete
    assert 0 < first.counts.get("replayed", 0) < 6
    rest = await desks.letters.do(task, first.run)
    assert rest.complete
    assert first.counts["replayed"] + rest.counts["replayed"] == 6


@pytest.mark.parametrize(
    ("attempts", "most", "reason", "helps"),
    [
        (4, 4, "it does not answer", "again"),
        (1, 4, "its index is missing", "fix"),
        (2, 4, "the disk is full (put off 1500 times)", "again"),
        (5, 4, "its worker ended in the middle of it, time and again", "fix"),
    ],
)
def test_what_helps(attempts: int, most: int, reason: str, helps: str) -> None:
    assert what_helps(attempts, most, reason) == helps


async def test_a_letter_of_a_queue_that_is_no_more_dies_again(desks: Desks) -> None:
    job = await desks.spent(KEYS[0], "it ran longer than its time limit of 50 s")
    letter = (await desks.letters.show(job)).letter
    outcome, why, setting = foresee(msgspec.structs.replace(letter, queue="gone"), SETTINGS)
    assert (outcome, setting) == ("dies", "")
    assert "no queue is called gone" in why


def test_a_filter_leaves_open_what_it_does_not_name() -> None:
    assert Wanted().everything
    assert not Wanted(text="x").everything
    assert Wanted().until == FAR
