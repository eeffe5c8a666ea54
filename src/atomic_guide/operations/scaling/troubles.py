"""What keeps scaling from knowing enough: sources that fail, targets that do not answer, clocks that jump.

A trouble is told when it begins and when it ends (audit, metrics), and while there is one, nothing is taken away from
the fleets that it concerns: what is not known is no reason for less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from atomic_guide.operations.scaling.audit import Deed
from atomic_guide.operations.scaling.model import (
    DATABASE,
    QUEUES,
    REPLICAS,
    ROOMS,
    SHARDS,
    WEB,
    WORKERS,
    Decision,
    Rejected,
)

if TYPE_CHECKING:
    from atomic_guide.clock import Clock

Kind = Literal["source", "target", "policy", "clock"]

JUMP_SECONDS = 30.0
"""Two ticks: a clock that is set right by its server is moved by milliseconds, or slewed."""

JUMP_REST_SECONDS = 900.0
"""How long after a jump nothing is taken away: windows of the time before it lie elsewhere now."""


EVERYTHING = "sampler"
"""The subject of a trouble with all sources at once."""

_TELLING = {WEB: (WEB, ROOMS), WORKERS: (WORKERS, QUEUES), REPLICAS.rstrip("/"): (DATABASE,), SHARDS: (DATABASE,)}
"""Whose measurements speak for a fleet."""


class Trouble(msgspec.Struct, frozen=True):
    """One trouble: of what kind, with what, why, and since when."""

    kind: Kind
    subject: str
    why: str
    since: float


class Troubles:
    """The troubles of this tick, and of the one before, to tell what has changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: dict[tuple[Kind, str], Trouble] = {}
        self._before: dict[tuple[Kind, str], Trouble] = {}
        self._clocks: tuple[float, float] | None = None
        self._jump: Trouble | None = None
        self._jump_until = 0.0

    def begin(self) -> None:
        """A new tick."""
        self._before, self._now = self._now, {}

    def add(self, kind: Kind, subject: str, why: str) -> None:
        """There is a trouble at this tick; one that was there before keeps its beginning."""
        before = self._before.get((kind, subject))
        since = before.since if before else self._clock.now()
        self._now[kind, subject] = Trouble(kind, subject, why, since)

    def check_clock(self) -> None:
        """Compare the time of day with the clock that never jumps since the last tick."""
        now, steady = self._clock.now(), self._clock.monotonic()
        if self._clocks is not None:
            jumped = (now - self._clocks[0]) - (steady - self._clocks[1])
            if abs(jumped) > JUMP_SECONDS:
                self._jump = Trouble("clock", "", f"the clock jumped by {jumped:+.0f} s", now)
                self._jump_until = steady + JUMP_REST_SECONDS
        self._clocks = (now, steady)
        if self._jump is not None and steady < self._jump_until:
            self._now["clock", ""] = self._jump

    def present(self) -> list[Trouble]:
        """The troubles of this tick."""
        return list(self._now.values())

    def changes(self) -> list[Deed]:
        """What began and what ended with this tick, as entries of the audit."""
        began = [trouble for key, trouble in self._now.items() if key not in self._before]
        ended = [trouble for key, trouble in self._before.items() if key not in self._now]
        return [_deed("trouble", trouble) for trouble in began] + [_deed("trouble over", trouble) for trouble in ended]


def caution(decision: Decision, present: Sequence[Trouble]) -> Decision:
    """The decision; or that nothing is done, where it would take units away while something about them is not known."""
    if decision.after >= decision.before:
        return decision
    for trouble in present:
        if _concerns(trouble, decision.fleet):
            what = " ".join(part for part in (trouble.kind, trouble.subject) if part)
            return held(decision, f"nothing is taken away while something is not known ({what}): {trouble.why}")
    return decision


def _concerns(trouble: Trouble, fleet: str) -> bool:
    if trouble.kind == "target":
        return trouble.subject == fleet
    component = trouble.subject.split("/")[0].split(".")[0]
    return (
        trouble.kind != "source"
        or component in _TELLING.get(fleet.split("/", maxsplit=1)[0], ())
        or component == EVERYTHING
    )


def held(decision: Decision, why: str) -> Decision:
    """That a decision is not done now, and why."""
    refused = Rejected(f"{decision.action}: {decision.before} to {decision.after} units", why)
    return msgspec.structs.replace(
        decision,
        action="hold",
        after=decision.before,
        reason=why,
        rejected=(refused, *decision.rejected),
        expected=None,
    )


def _deed(what: str, trouble: Trouble) -> Deed:
    fleet = trouble.subject if trouble.kind == "target" else ""
    return Deed(what, fleet, details={"kind": trouble.kind, "subject": trouble.subject, "why": trouble.why})
