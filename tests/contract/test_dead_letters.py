"""What is done to dead letters, on every database: once each, noted in the same transaction, never silently gone."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.actions import Act, Action, list_actions
from atomic_guide.engines.queues.deadletter import DeadLetters, Wanted
from atomic_guide.engines.queues.edit import Edit
from atomic_guide.engines.queues.ending import bury_job
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.many import Done, Run, Task, do_to_many, known_run, new_run
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.errors import Conflict, Invalid, NotFound
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

KEYS = [CourseKey.of(f"t-{number % 3}", f"course-{number}") for number in range(6)]
ROWS = Query("rows", "Every job.", {None: "SELECT id, state, payload, attempts, unique_key FROM jobs ORDER BY id"})
CLAIM = Query(
    "take",
    "Run a job, as a worker's claim does.",
    {
        None: "UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, lease_owner = 'w'"
        " WHERE id = :id RETURNING *"
    },
)


class Office:
    """Dead letters over databases."""

    def __init__(self, shards: Shards, clock: ManualClock) -> None:
        self.shards = shards
        self.clock = clock
        self.queues = Queues(shards, clock, QueueSettings())
        self.letters = DeadLetters(shards)

    async def publish(self, key: CourseKey, **job: Any) -> str | None:
        new = NewJob(**{"queue": "video", "kind": "k", "subject": "s", **job})

        async def work(tx: Transaction) -> str | None:
            return await self.queues.publish(tx, key, new)

        return await self.shards.of(key).write(work)

    async def die(self, key: CourseKey, job: str, reason: str = "no such thing") -> None:
        async def work(tx: Transaction) -> None:
            (row,) = await tx.read(CLAIM, {"id": job})
            assert await bury_job(tx, Job.of(row), "w", reason, self.clock.now())

        await self.shards.of(key).write(work)

    async def letter(self, key: CourseKey = KEYS[0], reason: str = "no such thing", **job: Any) -> str:
        self.clock.advance(1)
        published = await self.publish(key, **job)
        assert published
        await self.die(key, published, reason)
        return published

    async def rows(self) -> dict[str, Any]:
        return {row["id"]: row for shard in self.shards.all() for row in await shard.read(ROWS)}

    async def dead(self, **wanted: Any) -> list[str]:
        return [one.id for one in (await self.letters.list(1000, Wanted(**wanted))).letters]

    async def log(self, job: str = "") -> list[Action]:
        return (await list_actions(self.shards, job, 1000)).actions

    def act(self, actor: str = "ada", run: str = "") -> Act:
        return Act(actor, self.clock.now(), run)

    async def many(self, task: Task, run: Run | None = None) -> Done:
        return await do_to_many(self.letters, task, run or new_run(self.clock), self.clock, lambda _: None)


@pytest.fixture(params=ENGINES)
async def office(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Office]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        yield Office(shards, ManualClock())


async def test_each_filter_chooses_and_together_they_choose_less(office: Office) -> None:
    first = await office.letter(KEYS[0], "the Disk is full", kind="a")
    office.clock.advance(100)
    noon = office.clock.now()
    second = await office.letter(KEYS[1], "no route to host", kind="b", queue="notifications")
    third = await office.letter(KEYS[1], "the disk is full", kind="a")
    assert await office.dead() == [third, second, first]
    assert await office.dead(kind="a") == [third, first]
    assert await office.dead(queue="notifications") == [second]
    assert await office.dead(tenant=KEYS[1].tenant) == [third, second]
    assert await office.dead(course=KEYS[0].course) == [first]
    assert await office.dead(reason="DISK") == [third, first]
    assert await office.dead(reason="100%") == []
    assert await office.dead(since=noon) == [third, second]
    assert await office.dead(until=noon) == [first]
    assert await office.dead(kind="a", since=noon, reason="full") == [third]


async def test_a_replay_gives_everything_back_and_says_who_did_it(office: Office) -> None:
    job = await office.letter(payload={"video": "v1", "parts": 2}, unique_key="u")
    changes = await office.letters.replay(job, office.act(), [Edit("parts", 3)])
    assert [change._asdict() for change in changes] == [{"field": "parts", "before": 2, "after": 3}]
    row = (await office.rows())[job]
    assert (row["state"], row["attempts"], row["unique_key"]) == ("queued", 0, "u")
    assert row["payload"] == '{"video":"v1","parts":3}'
    (entry,) = await office.log(job)
    assert (entry.actor, entry.action, entry.kind) == ("ada", "dead-letter.replayed", "k")
    assert entry.before == {"reason": "no such thing", "attempts": 1, "parts": 2}
    assert entry.after == {"parts": 3}
    assert entry.digest == hashlib.sha256(b'{"video":"v1","parts":2}').hexdigest()
    assert entry.kept is None


async def test_an_edit_that_does_not_fit_changes_nothing(office: Office) -> None:
    job = await office.letter(payload={"parts": 2})
    with pytest.raises(Invalid, match="parts is a number"):
        await office.letters.replay(job, office.act(), [Edit("parts", "3")])
    assert await office.dead() == [job]
    assert await office.log() == []


async def test_a_letter_whose_work_a_live_job_does_stays_until_that_ends(office: Office) -> None:
    job = await office.letter(unique_key="u")
    assert await office.publish(KEYS[0], unique_key="u")
    with pytest.raises(Conflict, match=f"a live job does the work of the dead letter {job}"):
        await office.letters.replay(job, office.act())
    assert await office.dead() == [job]
    assert await office.log() == []
    found = await office.letters.find(job)
    assert (await office.letters.preview(found, [])).held


async def test_many_replays_and_drops_of_one_letter_at_once_do_it_once(office: Office) -> None:
    job = await office.letter(unique_key="u")

    async def retry() -> int:
        async def work(tx: Transaction) -> int:
            return await office.queues.replay(tx, KEYS[0], "s", "k")

        return await office.shards.of(KEYS[0]).write(work)

    tries = [office.letters.replay(job, office.act(f"o{number}")) for number in range(4)]
    drops = [office.letters.drop(job, office.act("eve"))]
    results = await asyncio.gather(*tries, retry(), *drops, return_exceptions=True)
    done = [result for result in results if not isinstance(result, BaseException) and result != 0]
    assert len(done) == 1
    others = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, NotFound | Conflict) for error in others)
    assert len(await office.rows()) + len([one for one in await office.log() if one.kept]) == 1


async def test_a_dropped_letter_stays_readable_in_the_log(office: Office) -> None:
    job = await office.letter(payload={"to": "ada"}, reason="refused")
    await office.letters.drop(job, office.act())
    with pytest.raises(NotFound):
        await office.letters.show(job)
    (entry,) = await office.log()
    assert entry.action == "dead-letter.dropped"
    assert entry.kept is not None
    assert (entry.kept["id"], entry.kept["payload"], entry.kept["error"]) == (job, {"to": "ada"}, "refused")
    with pytest.raises(NotFound):
        await office.letters.drop(job, office.act())


async def test_many_are_replayed_over_all_shards_and_others_left(office: Office) -> None:
    wanted = [await office.letter(KEYS[number % 6], "busy", payload={"n": number}) for number in range(40)]
    other = await office.letter(KEYS[2], "broken")
    held = await office.letter(KEYS[3], "busy", unique_key="u", payload={"n": 0})
    await office.publish(KEYS[3], unique_key="u")
    odd = await office.letter(KEYS[4], "busy")
    done = await office.many(Task("replay", "ada", Wanted(reason="busy"), [Edit("n", 7)]))
    assert done.counts == {"replayed": 40, "held": 1}
    assert list(done.refused) == [odd]
    assert sorted(await office.dead()) == sorted([other, held, odd])
    rows = await office.rows()
    assert {rows[job]["payload"] for job in wanted} == {'{"n":7}'}
    assert len(await office.log()) == 40


async def test_a_run_that_breaks_off_goes_on_and_does_none_twice(office: Office) -> None:
    jobs = [await office.letter(KEYS[number % 6], "busy", subject=f"s{number}") for number in range(20)]
    run = new_run(office.clock)
    office.clock.advance(1)

    class Cut(Exception):
        pass

    def cut(done: Done) -> None:
        if done.counts["replayed"] >= 5:
            raise Cut

    task = Task("replay", "ada", Wanted(reason="busy"), rate=1e6)
    with pytest.raises(Cut):
        await do_to_many(office.letters, task, run, office.clock, cut)
    replayed = [one.subject for one in await office.log()]
    assert 5 <= len(replayed) < 20
    # One of them dies again, and a new letter comes: neither is a part of that run.
    again = replayed[0]
    key = next(key for number, key in enumerate(KEYS * 4) if jobs[number] == again)
    await office.die(key, again, "busy")
    late = await office.letter(KEYS[0], "busy", subject="late")
    done = await office.many(task, known_run(run.id))
    assert done.counts["replayed"] == 20 - len(replayed)
    assert sorted(one.subject for one in await office.log()) == sorted(jobs)
    assert sorted(await office.dead()) == sorted([again, late])
    assert (await office.many(task, known_run(run.id))).looked_at == 0


async def test_a_letter_that_died_again_within_the_same_moment_is_done_once_in_a_run(office: Office) -> None:
    job = await office.letter(reason="busy")
    run = new_run(office.clock)
    assert await office.letters.replay_at(KEYS[0], job, office.act(run=run.id)) == ("replayed", [])
    await office.die(KEYS[0], job, "busy")
    assert await office.letters.replay_at(KEYS[0], job, office.act(run=run.id)) == ("before", [])
    assert await office.letters.replay_at(KEYS[0], job, office.act()) == ("replayed", [])


async def test_many_are_dropped_and_kept_in_the_log(office: Office) -> None:
    for number in range(10):
        await office.letter(KEYS[number % 6], "old", payload={"n": number})
    done = await office.many(Task("drop", "ada", Wanted(reason="old")))
    assert done.counts == {"dropped": 10}
    assert sorted(one.kept["payload"]["n"] for one in await office.log() if one.kept) == list(range(10))


async def test_a_rate_is_kept(office: Office) -> None:
    for number in range(6):
        await office.letter(KEYS[number], "busy")
    clock = SystemClock()
    office.clock.advance(1)
    began = clock.monotonic()
    run = Run("r000000000000-00000000", office.clock.now())
    done = await do_to_many(office.letters, Task("replay", "a", Wanted(), rate=20), run, clock, lambda _: None)
    assert done.counts == {"replayed": 6}
    assert clock.monotonic() - began >= 0.29


async def test_pages_of_letters_that_died_at_once_are_all_seen(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomic_guide.engines.queues.deadletter.PAGE", 3)
    jobs = [await office.publish(KEYS[number % 6], subject=f"s{number}") for number in range(20)]
    for number, job in enumerate(jobs):
        assert job
        await office.die(KEYS[number % 6], job)
    missing: dict[str, str] = {}
    seen = [found.letter.id async for found in office.letters.each(Wanted(), missing)]
    assert sorted(seen) == sorted(job for job in jobs if job)
    assert missing == {}


@pytest.mark.parametrize("text", ["", "r1", "r0123456789ab-0123456g", "x" * 100])
def test_a_name_that_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no run"):
        known_run(text)
