"""Decisions as they are written down: the action's name, the reason in words, everything that was weighed."""

from __future__ import annotations

from typing import Protocol

from atomic_guide.operations.scaling.decide.bounds import Cut
from atomic_guide.operations.scaling.decide.memory import FleetState
from atomic_guide.operations.scaling.decide.outlook import Peak
from atomic_guide.operations.scaling.decide.weigh import Weighed
from atomic_guide.operations.scaling.fleet import Fleet, of_units
from atomic_guide.operations.scaling.model import REPLICAS, SHARDS, WORKERS, Action, Decision, Rejected

_SAID_SECONDS = 3600.0
"""How often the same reason to hold is said."""


class Now(Protocol):
    """One fleet at one tick."""

    @property
    def name(self) -> str:
        """The fleet's."""

    @property
    def at(self) -> float:
        """Epoch seconds."""

    @property
    def fleet(self) -> Fleet:
        """What runs."""

    @property
    def stands(self) -> int:
        """What is reckoned with."""

    @property
    def state(self) -> FleetState:
        """What is remembered of it."""


def action_of(fleet: str, *, more: bool) -> Action:
    """What a change of a fleet is called where no rule has a name for it."""
    if fleet.startswith(REPLICAS):
        return "add_read_replica" if more else "remove_read_replica"
    if fleet == SHARDS:
        return "increase_sharding" if more else "decrease_sharding"
    if fleet == WORKERS:
        return "add_consumer" if more else "remove_consumer"
    return "add_process" if more else "remove_process"


def decision(now: Now, weighed: Weighed, cut: Cut) -> Decision:
    """A change."""
    more = cut.units > now.stands
    wish, leave = weighed.wish, weighed.leave
    if more or leave is None:
        rule, reason, action, inputs = wish.rule, wish.reason, wish.action if more else None, wish.inputs
    else:
        rule, reason, action, inputs = leave.rule, leave.reason, leave.action, leave.inputs
    rejected = [*weighed.rejected, Rejected(f"stay at {now.stands}", reason)]
    if cut.units != weighed.units:
        rejected.append(Rejected(f"{of_units(weighed.units)} at once", "; ".join(cut.why)))
        reason = f"{reason}; {'; '.join(cut.why)}"
    return Decision(
        id=_name(now, str(cut.units)),
        at=now.at,
        fleet=now.name,
        action=action or action_of(now.name, more=more),
        before=now.stands,
        after=cut.units,
        rule=rule if more or leave is not None else "bounds",
        urgency=wish.urgency if more else "low",
        reason=reason,
        inputs={**inputs, **cut.inputs, "ready": float(now.fleet.ready), "starting": float(now.fleet.starting)},
        rejected=tuple(rejected),
        expected=wish.expected if more else None,
        capped=cut.capped,
    )


def held(now: Now, weighed: Weighed, cut: Cut, loss: str, planned: tuple[Peak, str] | None) -> Decision | None:
    """Why nothing is done, where something spoke for it and that has not been said within the hour."""
    code, rule, reason = _why_held(now, weighed, cut, loss)
    if not code and planned is not None and now.state.planned != planned[0].begins:
        now.state.planned = planned[0].begins
        return _hold(now, weighed, "next-peak", planned[1], cut)
    if not code:
        return None
    if code == now.state.held and now.at - now.state.held_at < _SAID_SECONDS:
        return None
    now.state.held, now.state.held_at = code, now.at
    return _hold(now, weighed, rule, reason, cut)


def _why_held(now: Now, weighed: Weighed, cut: Cut, loss: str) -> tuple[str, str, str]:
    """A short name of the reason that stays the same while it lasts, whose wish it was, and the reason in words."""
    if cut.units == now.stands != weighed.units:
        wanted = f"{of_units(weighed.units, 'is', 'are')} wanted ({weighed.wish.reason})"
        if weighed.leave is not None and weighed.units < now.stands:
            return f"fewer/{weighed.leave.rule}", weighed.leave.rule, f"{weighed.leave.reason}; {'; '.join(cut.why)}"
        return f"cut/{weighed.wish.rule}", weighed.wish.rule, f"{wanted}, but {'; '.join(cut.why)}"
    if weighed.refused:
        first = weighed.refused[0]
        return f"refused/{first.rule}", first.rule, f"{first.reason}, but {first.refused}"
    if loss:
        return "loss", "metric-loss", f"{loss}: nothing is taken away, and {of_units(now.stands, 'stays', 'stay')}"
    return "", "", ""


def _hold(now: Now, weighed: Weighed, rule: str, reason: str, cut: Cut) -> Decision:
    inputs = dict(weighed.wish.inputs)
    for wish in weighed.refused:
        inputs.update(wish.inputs)
    return Decision(
        id=_name(now, "hold"),
        at=now.at,
        fleet=now.name,
        action="hold",
        before=now.stands,
        after=now.stands,
        rule=rule,
        urgency="low",
        reason=reason,
        inputs={**inputs, **cut.inputs, "ready": float(now.fleet.ready), "starting": float(now.fleet.starting)},
        rejected=weighed.rejected,
        capped=cut.capped,
    )


def _name(now: Now, what: str) -> str:
    """The same for the same tick and outcome, whichever process decides."""
    return f"{now.name.replace('/', '-')}-{now.at:.0f}-{what}"
