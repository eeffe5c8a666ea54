"""How an alert comes and goes: pending, firing, resolved. Pure, and step for step what Prometheus does.

                 true                    true for `for`
    (nothing) ─────────► pending ───────────────────────► firing ──► resolved
                            │ false or unknown                │  false, for longer than `keep_firing_for`
                            ▼                                 │  unknown: where the rule keeps it, only when nothing
                        (nothing)                             ▼  was measured for `KEPT_UNMEASURED` seconds

Unknown never makes an alert pending or firing. After evaluation has stood still, as in a restart, `for` goes on from
where it was: neither the time in between nor the first ticks, in which rates are not known yet, count for it or
against it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from atomic_guide.operations.alerts.rule import Labels
from atomic_guide.operations.alerts.traces import LOOKBACK

State = Literal["pending", "firing", "resolved"]

GRACE = 120.0
"""Seconds after a process has begun to evaluate in which what is unknown changes nothing: eight ticks, in which every
source has been asked and rates have had their second look."""

_TICK = 15.0


class Alert(msgspec.Struct, frozen=True):
    """One alert of a rule: `labels` are all that it has, `active_at` is since when its condition has held."""

    rule: str
    labels: Labels
    state: State
    active_at: float
    fired_at: float | None = None
    keeping_since: float | None = None
    """Since when its condition does not hold any more, while it goes on firing for `keep_firing_for`."""
    resolved_at: float | None = None
    value: float | None = None

    @property
    def key(self) -> tuple[str, Labels]:
        """What tells it from every other."""
        return self.rule, self.labels


class Terms(NamedTuple):
    """For how long a condition must hold, and for how long an alert goes on when it does not any more; seconds."""

    hold: float
    keep: float = 0.0


class Moment(NamedTuple):
    """An evaluation: when, how long after the one before, and whether what is unknown changes nothing yet."""

    at: float
    passed: float = _TICK
    grace: bool = False


def advanced(before: Alert, holds: bool | None, terms: Terms, moment: Moment) -> Alert | None:  # noqa: FBT001 - one of three values
    """The alert after an evaluation; None where there is none. `before` must not be resolved."""
    if holds is None and moment.grace:
        return _shifted(before, moment.passed)
    if before.state == "pending" and moment.passed > LOOKBACK:
        before = _shifted(before, moment.passed - _TICK)
    if holds:
        before = msgspec.structs.replace(before, keeping_since=None)
    elif before.state == "pending":
        return None
    else:
        since = moment.at if before.keeping_since is None else before.keeping_since
        if moment.at - since >= terms.keep:
            return msgspec.structs.replace(before, state="resolved", resolved_at=moment.at, keeping_since=None)
        return msgspec.structs.replace(before, keeping_since=since)
    if before.state == "pending" and moment.at - before.active_at >= terms.hold:
        return msgspec.structs.replace(before, state="firing", fired_at=moment.at)
    return before


def begun(rule: str, labels: Labels, terms: Terms, moment: Moment) -> Alert:
    """An alert whose condition has begun to hold."""
    state: State = "pending" if terms.hold > 0 else "firing"
    return Alert(rule, labels, state, moment.at, moment.at if state == "firing" else None)


def _shifted(alert: Alert, seconds: float) -> Alert:
    """The same, as if so much time had not been."""
    if alert.state == "pending":
        return msgspec.structs.replace(alert, active_at=alert.active_at + seconds)
    if alert.keeping_since is not None:
        return msgspec.structs.replace(alert, keeping_since=alert.keeping_since + seconds)
    return alert
