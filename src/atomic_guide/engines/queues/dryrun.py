"""What replaying or dropping dead letters would come to, without doing it.

A guess is marked as one: that a letter would die again is said where what it died of still holds, which nobody knows
before it has run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from atomic_guide.errors import ConfigurationError, Invalid

if TYPE_CHECKING:
    from atomic_guide.engines.queues.deadletter import DeadLetter, DeadLetters, Found, Wanted
    from atomic_guide.engines.queues.edit import Edit
    from atomic_guide.engines.queues.settings import QueueSettings

SHOWN = 1000
"""Letters that an answer names; its counts are of all that were looked at."""

_OVERDUE = re.compile(r"time limit of ([0-9.e+]+) s$")

Foreseen = Literal["runs", "dies", "held", "refused", "drops"]
"""What a letter would come to. `dies`: likely again; `held`: a live job does its work; `refused`: see why."""


class Letter(msgspec.Struct, frozen=True):
    """One letter, and what it would come to; `changes` are those of the edits."""

    id: str
    kind: str
    subject: str
    outcome: Foreseen
    why: str
    changes: list[dict[str, Any]]
    died_at: str

    @property
    def held(self) -> bool:
        """Whether a live job does its work."""
        return self.outcome == "held"


class Group(msgspec.Struct, frozen=True):
    """Letters of a kind that would come to the same, for the same reason. `setting` is what decides that, if any."""

    outcome: Foreseen
    kind: str
    why: str
    setting: str
    letters: int


class Plan(msgspec.Struct):
    """What would be done: letters by outcome, and each of the first `SHOWN`.

    `refused` says of jobs why nothing can be done with them. `complete` is False where there are more letters than were
    looked at.
    """

    groups: list[Group]
    letters: list[Letter]
    refused: dict[str, str]
    missing: dict[str, str]
    complete: bool = True

    def count(self, *outcomes: Foreseen) -> int:
        """How many letters come to one of these."""
        return sum(group.letters for group in self.groups if group.outcome in outcomes)


class Asked(msgspec.Struct, frozen=True):
    """The letters of `jobs`, or those that are wanted; without `edits` they would be dropped, not replayed.

    At most `most` letters are looked at; 0 is no limit.
    """

    jobs: Sequence[str]
    wanted: Wanted
    edits: Sequence[Edit] | None
    most: int = 0


async def plan_for(letters: DeadLetters, asked: Asked, settings: QueueSettings) -> Plan:
    """What would be done to letters. Raises as reads do; a shard that does not answer is told of in `missing`."""
    plan = Plan([], [], {}, {})
    counts: Counter[tuple[Foreseen, str, str, str]] = Counter()
    every = letters.each_of(asked.jobs, plan.refused) if asked.jobs else letters.each(asked.wanted, plan.missing)
    async for found in every:
        if asked.most and counts.total() >= asked.most:
            plan.complete = False
            break
        letter, setting = await _look(letters, found, asked.edits, settings)
        counts[letter.outcome, letter.kind, letter.why, setting] += 1
        if letter.outcome == "refused":
            plan.refused[letter.id] = letter.why
        elif len(plan.letters) < SHOWN:
            plan.letters.append(letter)
    plan.groups = [Group(*named, number) for named, number in counts.most_common()]
    return plan


async def _look(
    letters: DeadLetters, found: Found, edits: Sequence[Edit] | None, settings: QueueSettings
) -> tuple[Letter, str]:
    """One letter, and the setting that decides what it comes to."""
    letter = found.letter
    named = {"id": letter.id, "kind": letter.kind, "subject": letter.subject, "died_at": letter.died_at}
    if edits is None:
        return Letter(**named, outcome="drops", why="", changes=[]), ""
    try:
        preview = await letters.preview(found, edits)
    except Invalid as error:
        return Letter(**named, outcome="refused", why=error.message, changes=[]), ""
    changes = [change._asdict() for change in preview.changes]
    if preview.held:
        return Letter(**named, outcome="held", why="a live job does the same work", changes=changes), ""
    if changes:
        return Letter(**named, outcome="runs", why="what it carries is changed", changes=changes), ""
    outcome, why, setting = foresee(letter, settings)
    return Letter(**named, outcome=outcome, why=why, changes=[]), setting


def foresee(letter: DeadLetter, settings: QueueSettings) -> tuple[Foreseen, str, str]:
    """Whether a letter that is replayed as it is runs or likely dies again, why, and which setting decides that."""
    overdue = _OVERDUE.search(letter.reason)
    if overdue:
        try:
            limit = settings.rules(letter.queue).time_limit_seconds
        except ConfigurationError as error:
            return "dies", error.message, ""
        setting = f"queues.{letter.queue}.time_limit_seconds"
        if limit <= float(overdue[1]):
            return "dies", f"its time limit is still {limit:g} s", setting
        return "runs", f"its time limit is {limit:g} s now", setting
    if letter.helps == "fix":
        return "dies", letter.reason, ""
    return "runs", "it had used up its attempts, and has them all again", ""
