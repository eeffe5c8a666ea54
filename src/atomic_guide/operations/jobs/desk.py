"""What operators ask of queues and jobs and do to them; the command and the HTTP calls are two ways to it.

Who paused or resumed a queue, and when, is noted in the audit of scaling, in the transaction that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.queues.calling_off import CalledOff, call_off
from atomic_guide.engines.queues.controls import pause_queue, resume_queue
from atomic_guide.engines.queues.inspect import QueueView, page_jobs, show_job, view_queues
from atomic_guide.errors import ConfigurationError, NotFound
from atomic_guide.operations.scaling.audit import Deed, Entry, entries, note

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.settings import QueueSettings

State = Literal["queued", "delayed", "blocked", "running", "done", "dead", "cancelled"]

PAUSED, RESUMED = "queue paused", "queue resumed"
"""How the audit calls what was done."""

PAUSE_MOST = 30 * 86_400.0
"""Seconds of a pause that ends by itself: one that is to last longer is a decision to be taken again."""

_NEXT = 3
"""Jobs of a queue that are named with it: those that are claimed next."""


class Lane(QueueView, frozen=True):
    """A queue with what is asked of it.

    `weight` is its share of a process's slots beside the other queues' weights, `goal_seconds` how long a job may wait
    before an alert says so (null: none does). `paused_by` is null where it is not paused or nobody noted who did that,
    `paused_why` also where no reason was given.
    """

    weight: float | None
    goal_seconds: float | None
    paused_by: str | None
    paused_why: str | None


class Lanes(msgspec.Struct, frozen=True):
    """Every queue, and why the jobs of some shards are not counted, by shard."""

    queues: list[Lane]
    complete: bool
    missing: dict[str, str]


class JobShown(msgspec.Struct, frozen=True):
    """A job. Of one that was done or cancelled only the archive tells, which keeps less: the rest is null then."""

    id: str
    queue: str
    kind: str
    subject: str
    state: State
    tenant: str
    course: str
    shard: str
    attempts: int
    created_at: str
    max_attempts: int | None = None
    troubles: int | None = None
    progress: float | None = None
    worker: str | None = None
    run_after: str | None = None
    ended_at: str | None = None
    priority: float | None = None
    rank: float | None = None
    why: str | None = None
    error: str | None = None


class JobPage(msgspec.Struct, frozen=True):
    """Jobs of a queue in a state; `next` is the `after` of what follows, null at the end."""

    jobs: list[JobShown]
    next: str | None
    complete: bool
    missing: dict[str, str]


class Rules(NamedTuple):
    """What holds for queues: their settings, and how long a job may wait before an alert says so."""

    settings: QueueSettings
    goal: float | None


class Desk:
    """The desk of one process. `told` is told in the transaction that calls a job off, `wake` once that is done."""

    def __init__(
        self,
        shards: Shards,
        clock: Clock,
        rules: Rules,
        told: Mapping[str, CalledOff],
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = rules.settings
        self._shards = shards
        self._clock = clock
        self._goal = rules.goal
        self._told = told
        self._wake = wake

    async def lanes(self, *, ended: bool = True) -> Lanes:
        """Every queue; without those jobs that have `ended` well the answer costs little."""
        declared = self.settings.queues
        views, missing = await view_queues(self._shards, declared, self._clock.now(), _NEXT, ended=ended)
        lanes = [await self._lane(view, declared=view.queue in declared) for view in views]
        return Lanes(lanes, not missing, missing)

    async def jobs(self, queue: str, state: State, after: str | None, limit: int) -> JobPage:
        """A page of the jobs of a queue in a state. Raises `NotFound`, `Invalid` for an `after` that is none."""
        await self._known(queue)
        jobs, following, missing = await page_jobs(self._shards, (queue, state), after, limit, self._clock.now())
        return JobPage(msgspec.convert(jobs, list[JobShown]), following, not missing, missing)

    async def job(self, job: str) -> JobShown:
        """One job, live, dead or ended. Raises `NotFound`, or `DataUnavailable` where a silent shard may have it."""
        return msgspec.convert(await show_job(self._shards, job, self._clock.now()), JobShown)

    async def cancel(self, job: str) -> str:
        """Call a live job off; its queue. Raises as `call_off`."""
        queue = await call_off(self._shards, job, self._clock.now(), self._told)
        self._wake(queue)
        return queue

    async def pause(self, queue: str, who: str, why: str = "", seconds: float | None = None) -> str | None:
        """Start no more jobs of a queue for so many seconds, or until it is resumed; those that run go on.

        Of one that is paused the end is set anew. When it ends, if it does by itself. Raises `NotFound`.
        """
        self._declared(queue)
        now = self._clock.now()
        until = None if seconds is None else now + seconds
        details = {"why": why} if why else {}
        details |= {} if until is None else {"until": iso(until)}

        async def work(tx: Transaction) -> None:
            await pause_queue(tx, queue, now, until)
            await note(tx, now, who, Deed(PAUSED, _fleet(queue), details=details))

        await self._shards.directory.write(work)
        return details.get("until")

    async def resume(self, queue: str, who: str) -> bool:
        """Go on with a queue; whether it was paused. Raises `NotFound`."""
        self._declared(queue)
        now = self._clock.now()

        async def work(tx: Transaction) -> bool:
            changed = await resume_queue(tx, queue, now)
            if changed:
                await note(tx, now, who, Deed(RESUMED, _fleet(queue)))
            return changed

        return await self._shards.directory.write(work)

    async def _lane(self, view: QueueView, *, declared: bool) -> Lane:
        weight = self.settings.rules(view.queue).weight if declared else None
        pause = await self._pause_of(view) if view.paused_since is not None else None
        told: dict[str, Any] = {name: getattr(view, name) for name in QueueView.__struct_fields__}
        goal = self._goal if declared else None
        by, why = (pause.who, pause.details.get("why")) if pause is not None else (None, None)
        return Lane(**told, weight=weight, goal_seconds=goal, paused_by=by, paused_why=why)

    async def _pause_of(self, view: QueueView) -> Entry | None:
        """What was noted of a queue's pause: of several that of who was first, since the pause is theirs."""
        deeds = await entries(self._shards.directory, fleet=_fleet(view.queue), limit=_LOOKED_AT)
        pauses = [deed for deed in deeds if deed.what == PAUSED and deed.at == view.paused_since]
        return pauses[-1] if pauses else None

    async def _known(self, queue: str) -> None:
        """Raise `NotFound` for a queue that is neither declared nor has jobs left."""
        if queue not in self.settings.queues:
            views = (await view_queues(self._shards, [], self._clock.now(), 0)).queues
            if queue not in {view.queue for view in views}:
                self._declared(queue)

    def _declared(self, queue: str) -> None:
        try:
            self.settings.rules(queue)
        except ConfigurationError as error:
            raise NotFound(error.message) from error


_LOOKED_AT = 100
"""Newest deeds of a queue among which its pause is looked for: who pauses a paused one again is noted, too."""


def _fleet(queue: str) -> str:
    """How the audit names a queue, apart from the fleets that scaling has."""
    return f"queue {queue}"
