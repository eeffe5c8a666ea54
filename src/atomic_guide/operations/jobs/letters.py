"""What operators ask of dead letters and do to them; the command and the HTTP calls are two ways to it.

Each replay and each drop is noted by the engine, in the transaction that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from atomic_guide.engines.queues.actions import Action, Actions, list_actions
from atomic_guide.engines.queues.deadletter import Count, DeadLetter, DeadLetters, Wanted
from atomic_guide.engines.queues.dryrun import Asked, Plan, plan_for
from atomic_guide.engines.queues.many import Done, Run, Task, do_to_many, known_run, new_run
from atomic_guide.engines.queues.retry import Helps

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.edit import Edit
    from atomic_guide.engines.queues.settings import QueueSettings


class LetterShown(msgspec.Struct, frozen=True):
    """A dead letter in a list, without what it carries. `helps`: `again` (another try may work) or `fix`."""

    id: str
    queue: str
    kind: str
    subject: str
    tenant: str
    course: str
    attempts: int
    max_attempts: int
    reason: str
    helps: Helps
    created_at: str
    died_at: str


class LetterPage(msgspec.Struct, frozen=True):
    """Dead letters, the newest first; `next` is the `after` of what follows, null at the end."""

    letters: list[LetterShown]
    next: str | None
    counts: list[Count]
    """Of all that there are, whatever was asked for."""
    complete: bool
    missing: dict[str, str]


class LetterWhole(msgspec.Struct, frozen=True):
    """A dead letter with what it carries, and what was done to it before, the newest first."""

    letter: DeadLetter
    actions: list[Action]


class Outcome(msgspec.Struct, frozen=True):
    """What a run did: letters by what became of them, and why some could not be done, by job.

    Where it is not `complete`, its time was over: the same call with its `run` goes on.
    """

    run: str
    counts: dict[str, int]
    refused: dict[str, str]
    missing: dict[str, str]
    complete: bool


class Letters:
    """The desk of one process."""

    def __init__(self, shards: Shards, clock: Clock, settings: QueueSettings, wake: Callable[[str], None]) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._wake = wake
        self._letters = DeadLetters(shards)

    async def page(self, wanted: Wanted, after: str | None, limit: int) -> LetterPage:
        """A page of them. Raises `Invalid` for an `after` that is none."""
        letters, following, missing = await self._letters.page(wanted, after, limit)
        counts, uncounted = await self._letters.counts()
        lacks = {**uncounted, **missing}
        return LetterPage([_shown(one) for one in letters], following, counts, not lacks, lacks)

    async def show(self, job: str) -> LetterWhole:
        """One of them. Raises `NotFound`, or `DataUnavailable` where a silent shard may have it."""
        letter = await self._letters.show(job)
        return LetterWhole(letter, (await self.audit(job, _ACTIONS)).actions)

    async def audit(self, job: str, limit: int) -> Actions:
        """Who replayed or dropped what, the newest first; of one job where it is named."""
        return await list_actions(self._shards, job, limit)

    async def plan(self, jobs: Sequence[str], wanted: Wanted, edits: Sequence[Edit] | None, most: int = 0) -> Plan:
        """What a replay, or without edits a drop, would come to; at most so many are looked at where it is not 0."""
        return await plan_for(self._letters, Asked(jobs, wanted, edits, most), self._settings)

    async def do(self, task: Task, run: str | None, watch: Callable[[Done], None] = lambda _: None) -> Outcome:
        """Replay or drop; a `run` that was begun before goes on. Raises `Invalid` for one that is none."""
        begun = self.begun(run)
        done = await do_to_many(self._letters, task, begun, self._clock, watch)
        if done.counts["replayed"]:
            for queue in self._settings.queues:
                self._wake(queue)
        return Outcome(begun.id, dict(done.counts), done.refused, done.missing, done.complete)

    def begun(self, run: str | None) -> Run:
        """The run of a name, or a new one. Raises `Invalid` for a name that is none."""
        return known_run(run) if run else new_run(self._clock)


_ACTIONS = 50
"""Deeds that are shown with a letter; more than a few were never done to one."""

Deed = Literal["replay", "drop"]


def _shown(letter: DeadLetter) -> LetterShown:
    return LetterShown(**{name: getattr(letter, name) for name in LetterShown.__struct_fields__})
