"""What a job is, and how one is published: in the transaction, and so the shard, of the row it is about.

Neither can exist without the other, and a bucket that moves takes its jobs and leases along. Wake-ups are a
courtesy: a worker that misses one finds the job when it polls.

A job is queued, delayed until a time, blocked by an earlier one of its order key, running, or dead. One that is done or
cancelled leaves the table for an archive (ending.py), so that what is claimed from holds no history.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from atomic_guide import tracing
from atomic_guide.engines.data.placement import CourseKey, zone_tenant
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.data.session import current_session
from atomic_guide.engines.queues.forming import Group, Ids, form, runs_of
from atomic_guide.engines.queues.priority import Flow, Turns, foremost
from atomic_guide.errors import DataUnavailable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.forming import NewJob
    from atomic_guide.engines.queues.settings import QueueSettings

QUERIES = load_queries(__package__)

DEPTH_LIMIT = 10_000
"""Where a shard counts as deep, and no more of its waiting jobs are counted: 2 ms of an index."""

SYSTEM = "system"
"""The course that jobs about no course belong to, of the tenant that is called as their zone."""


class Job(msgspec.Struct, frozen=True):
    """A claimed job. `token` is the fence: it grows with every claim. `bookmark` is what its publisher had seen."""

    key: CourseKey
    id: str
    queue: str
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    token: int
    created_at: float
    bookmark: str | None
    order_key: str | None = None
    rank: float = 0.0
    run_after: float = 0.0
    why: str | None = None
    troubles: int = 0
    trace: str | None = None
    """The span that published it, as a W3C traceparent; None where that was not traced."""

    @classmethod
    def of(cls, row: Row) -> Job:
        """A job from its row."""
        return cls(
            key=CourseKey(row["tenant"], row["course"], row["bucket"]),
            id=row["id"],
            queue=row["queue"],
            kind=row["kind"],
            subject=row["subject"],
            payload=msgspec.json.decode(row["payload"]),
            attempts=row["attempts"],
            max_attempts=row["max_attempts"],
            token=row["token"],
            created_at=row["created_at"],
            bookmark=row["bookmark"],
            order_key=row["order_key"],
            rank=row["rank"],
            run_after=row["run_after"],
            why=row["why"],
            troubles=row["troubles"],
            trace=row["trace"],
        )

    @property
    def precedence(self) -> str:
        """The foremost fact that gave the job its place: live, instructor, short or none."""
        return foremost(self.why)


class Queues:
    """Where the product publishes jobs and asks about them."""

    def __init__(self, shards: Shards, clock: Clock, settings: QueueSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._wakers: list[Callable[[str], None]] = []
        self._ids = Ids()
        # Units of work on SQLite files run in the threads of their writers.
        self._counting = threading.Lock()
        self._published: Counter[tuple[str, str]] = Counter()

    @property
    def published(self) -> dict[tuple[str, str], int]:
        """Jobs by queue and kind since this process began; those of units of work that were undone are counted too."""
        with self._counting:
            return dict(self._published)

    async def publish(self, tx: Transaction, key: CourseKey, job: NewJob) -> str | None:
        """Write a job inside the caller's unit of work; its id, or None where its unique key is held by a live job.

        Call `wake` once the work is committed. Raises `ConfigurationError` for a queue that is not declared.
        """
        (published,) = await self.publish_many(tx, key, [job])
        return published

    async def publish_many(self, tx: Transaction, key: CourseKey, jobs: Sequence[NewJob]) -> list[str | None]:
        """Write jobs of a course inside the caller's unit of work; their ids, as `publish` returns them.

        Of several with one unique key, one is written.
        """
        now = self._clock.now()
        runs = runs_of(jobs, self._settings, key.tenant)
        turns = Turns(await read_tags(tx, {run.flow for run in runs if not run.delay}))
        ids = self._ids.take(len(jobs), now)
        groups = form(runs, ids, turns, now)
        await lock_orders(tx, [(key, group.same["order_key"]) for group in groups if group.ordered])
        session = current_session()
        promise = session.promise() if session is not None else None
        same = {**key.columns, "created_at": now, "bookmark": promise, "trace": tracing.carried()}
        left_out: set[str] = set()
        for group in groups:
            left_out |= await _add(tx, group, same)
        with self._counting:
            self._published.update((job.queue, job.kind) for job in jobs)
        return [None if each in left_out else each for each in ids] if left_out else list(ids)

    async def publish_system(self, job: NewJob, zone: str) -> str | None:
        """Publish a job about no course, in the shard of a zone where the fewest of its queue wait; its id.

        Wakes the workers. A shard that does not answer is passed over. Raises `Unavailable` where none does.
        """
        near = [shard for shard in self._shards.all() if shard.shard.zone == zone]
        found = await scatter(near, QUERIES["measure_depth"], {"queue": job.queue, "limit": DEPTH_LIMIT}, short=True)
        depths = sorted((int(row["depth"]), secrets.randbits(16), shard) for shard, row in found.rows)
        for _, _, name in depths:
            key = self._system_key(zone, name)
            if key is None:
                continue

            async def work(tx: Transaction, key: CourseKey = key) -> str | None:
                return await self.publish(tx, key, job)

            try:
                published = await self._shards.of(key).write(work)
            except DataUnavailable:
                continue
            self.wake(job.queue)
            return published
        raise Unavailable(f"no shard of zone {zone} takes a job for {job.queue}; `atomic-guide doctor` says why")

    async def cancel(self, tx: Transaction, key: CourseKey, subject: str) -> int:
        """Call off a subject's live jobs inside a unit of work; how many."""
        params = {**key.columns, "subject": subject, "now": self._clock.now()}
        orders = [(key, row["order_key"]) for row in await tx.read(QUERIES["orders_of_subject"], params)]
        await lock_orders(tx, orders)
        await tx.execute(QUERIES["archive_cancelled"], params)
        cancelled = await tx.execute(QUERIES["cancel_jobs"], params)
        await release_orders(tx, orders, self._clock.now())
        return cancelled

    async def forget(self, tx: Transaction, key: CourseKey, subject: str) -> None:
        """Drop a subject's ended jobs, dead letters too, inside the unit of work that erases the subject."""
        for query in ("forget_dead", "forget_ended"):
            await tx.execute(QUERIES[query], {**key.columns, "subject": subject})

    async def replay(self, tx: Transaction, key: CourseKey, subject: str, kind: str) -> int:
        """Give a subject's dead letters of a kind their attempts back, inside a unit of work; how many.

        One whose unique key has been taken meanwhile, also by a later one of these, stays dead.
        """
        now = self._clock.now()
        dead = await tx.read(QUERIES["dead_of_subject"], {**key.columns, "subject": subject, "kind": kind})
        return [await replay_dead(tx, key, row["id"], now) for row in dead].count("replayed")

    async def position(self, key: CourseKey, subject: str) -> int | None:
        """How many jobs of the shards that answer are claimed before the subject's waiting one; None where none is."""
        row = await self._shards.of(key).one(QUERIES["find_waiting"], {**key.columns, "subject": subject})
        if row is None:
            return None
        params = {name: row[name] for name in ("queue", "rank", "id")}
        found = await scatter(self._shards.all(), QUERIES["count_ahead"], params, short=True)
        return sum(int(count["ahead"]) for _, count in found.rows)

    def on_wake(self, waker: Callable[[str], None]) -> None:
        """Have `waker(queue)` called after jobs were published: a worker of this process, or a bus to others."""
        self._wakers.append(waker)

    def wake(self, queue: str) -> None:
        """Tell the workers that a queue has something to do; losing this costs one poll interval."""
        for waker in self._wakers:
            waker(queue)

    def _system_key(self, zone: str, shard: str) -> CourseKey | None:
        """A key in one of a shard's buckets, for jobs about no course; None where it owns none."""
        owners = self._shards.map.buckets.get(zone, ())
        bucket = next((number for number, (owner, _) in enumerate(owners) if owner == shard), None)
        return CourseKey(zone_tenant(zone), SYSTEM, bucket) if bucket is not None else None


async def read_tags(tx: Transaction, flows: Iterable[Flow]) -> dict[Flow, float]:
    """Where the waiting jobs of each flow end, for those that have any."""
    tags: dict[Flow, float] = {}
    for flow in flows:
        queue, tenant, boost = flow
        row = await tx.one(QUERIES["last_tag"], {"queue": queue, "tenant": tenant, "boost": boost})
        if row is not None:
            tags[flow] = row["tag"]
    return tags


async def lock_orders(tx: Transaction, orders: Sequence[tuple[CourseKey, str]]) -> None:
    """Keep others from publishing and ending jobs of these order keys until the transaction ends.

    Else a job could be stored as blocked by one whose end does not see it. To be called before any of the rows is
    changed, so that locks are taken in the same order everywhere. On SQLite writes exclude one another anyway.
    """
    if orders and tx.dialect == "postgresql":
        keys = {
            "tenant": [key.tenant for key, _ in orders],
            "course": [key.course for key, _ in orders],
            "order_key": [order for _, order in orders],
        }
        await tx.read(QUERIES["lock_orders"], keys)


async def release_orders(tx: Transaction, orders: Iterable[tuple[CourseKey, str]], now: float) -> None:
    """Let the next job of each order key go on, after one has ended; under `lock_orders`."""
    for key, order in orders:
        await tx.read(QUERIES["release_next"], {**key.columns, "order_key": order, "now": now})


async def replay_dead(tx: Transaction, key: CourseKey, job: str, now: float) -> Literal["replayed", "held", "missing"]:
    """Give a dead letter its attempts, its unique key and a place in the order back, inside a unit of work.

    `held`: a live job has its unique key and does the same work; it stays dead. `missing`: it is no dead letter.
    """
    row = await tx.one(QUERIES["dead_to_replay"], {**key.columns, "id": job})
    if row is None:
        return "missing"
    if row["holder"] is not None:
        return "held"
    params = {**key.columns, "id": job, "now": now, "state": "queued"}
    if row["order_key"] is not None:
        await lock_orders(tx, [(key, row["order_key"])])
        if await tx.one(QUERIES["find_earlier"], {**key.columns, "order_key": row["order_key"]}):
            params["state"] = "blocked"
    flow = (row["queue"], key.tenant, row["boost"])
    turn = Turns(await read_tags(tx, [flow])).take(flow, now, row["spacing"])
    changed = await tx.execute(QUERIES["replay_dead"], {**params, "rank": turn.rank, "tag": turn.tag})
    return "replayed" if changed else "missing"


async def _add(tx: Transaction, group: Group, same: dict[str, Any]) -> set[str]:
    """Write jobs, of which one may be blocked, or not be wanted; the ids of those that were not written."""
    given = {**same, **group.same}
    if not group.keyed:
        del given["order_key"]
        await tx.execute_columns(QUERIES["add_jobs"], group.columns, given)
        return set()
    if group.ordered and await tx.one(QUERIES["find_earlier"], {**same, "order_key": given["order_key"]}):
        given["state"] = "blocked"
    written = {row["id"] for row in await tx.read_columns(QUERIES["add_keyed_jobs"], group.columns, given)}
    return set(group.columns["id"]) - written
