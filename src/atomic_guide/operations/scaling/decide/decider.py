"""The decider: hears what everybody wants for each fleet, lets the highest wish go first, and bounds it.

Order at a tick, for each fleet:

1. what stands: what runs and starts, or what was asked for and is still under way;
2. wishes: fewest units, rules whose cause was checked, target tracking, forecast, peaks, schedule; the highest counts;
3. fewer only where somebody says that fewer would do, nobody wants more, and what it is judged by is measured;
4. bounds: most and budget before all wishes, then windows, steps and cool-downs;
5. a decision with everything that was weighed, or `hold` where something spoke for a change, said once in an hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from atomic_guide.operations.scaling.decide import ahead, bounds, budget
from atomic_guide.operations.scaling.decide.memory import Asked, FleetState, Memory
from atomic_guide.operations.scaling.decide.rules import Read, Rules
from atomic_guide.operations.scaling.decide.shipped import rules_in_force
from atomic_guide.operations.scaling.decide.standing import standing
from atomic_guide.operations.scaling.decide.tracking import TRACKED, policy_of, track
from atomic_guide.operations.scaling.decide.weigh import Weighed, weigh
from atomic_guide.operations.scaling.decide.wish import Heard, Wish
from atomic_guide.operations.scaling.decide.wording import decision, held
from atomic_guide.operations.scaling.fleet import Fleet, of_units
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.metric import Units
from atomic_guide.operations.scaling.model import MEASURES, Decision, Mode, Seen
from atomic_guide.operations.scaling.policies.tuned import Night
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings

_MISSED_MOST = 240
"""An hour of ticks: what a gap, or a clock that jumps, tells the policies at most."""


_UNBOUND = 1_000_000


class _Now(NamedTuple):
    """One fleet at one tick."""

    name: str
    at: float
    mode: Mode
    fleet: Fleet
    stands: int
    least: int
    most: int
    own: FleetSettings
    state: FleetState


Limits = Mapping[str, tuple[int | None, int | None]]
"""Fewest and most units by fleet, None where the settings say it."""


class Outside(NamedTuple):
    """What others say of the fleets: modes and bounds that operators have set beside the settings', acts under way.

    Of bounds, the fewest and the most units; None where the settings say it.
    """

    modes: Mapping[str, Mode] = {}
    under_way: Mapping[str, Decision] = {}
    bounds: Mapping[str, tuple[int | None, int | None]] = {}


NOTHING = Outside()


class Decider:
    """Decides for all fleets by the settings; `units` are those that reasons are worded with."""

    def __init__(self, settings: ScalingSettings, units: Units) -> None:
        self._settings = settings
        self._rules = Rules(rules_in_force(settings.rules), settings.tick_seconds, quantile_of, units)

    def decide(
        self, seen: Seen, fleets: Mapping[str, Fleet], memory: Memory, outside: Outside = NOTHING
    ) -> list[Decision]:
        """At most one decision for each fleet, and what is remembered of the tick in `memory`.

        A fleet that cannot be looked at is not in `fleets`, and nothing is decided for it; nor for one on which an act
        is carried out. A second call for the same tick decides nothing.
        """
        seen = cleaned(seen)
        missed = self._advance(seen.at, fleets, memory)
        if missed is None:
            return []
        self._rules.note(seen, memory.state)
        read = list(self._rules.read(seen, memory.state))
        found = []
        for name, fleet in fleets.items():
            mode = outside.modes.get(name, self._settings.fleet(name).mode)
            _carried(memory.state.fleet(name), outside.under_way.get(name))
            if mode != "off":
                now = self._now((name, mode, fleet), memory, outside.bounds.get(name))
                made = self._fleet(now, seen, fleets, (read, missed), memory)
                found += [made] if made is not None and name not in outside.under_way else []
        return found

    def study(
        self,
        fleets: Mapping[str, Fleet],
        memory: Memory,
        limits: Limits = NOTHING.bounds,
    ) -> dict[str, Night]:
        """Replay the day that has ended, where one has, under all candidates. About a second for each fleet.

        To be called in a thread between two ticks; `Night`s are for the table of nights.
        """
        found = {}
        for name, policy in memory.policies.items():
            if policy.due and name in fleets:
                own = limited(self._settings.fleet(name), limits.get(name))
                found[name] = policy.study(fleets[name]._replace(least=own.min, most=own.max))
        return found

    def _advance(self, at: float, fleets: Mapping[str, Fleet], memory: Memory) -> int | None:
        """Move the state's clock; how many ticks were missed, None where this one has been decided already."""
        state, tick = memory.state, self._settings.tick_seconds
        elapsed = at - state.at if state.at else tick
        if elapsed < 0:
            memory.reset_clock(at)
            elapsed = tick
        elif elapsed < tick / 2:
            return None
        state.at = at
        budget.spend(state, fleets, self._settings, min(elapsed, _MISSED_MOST * tick))
        return min(max(round(elapsed / tick) - 1, 0), _MISSED_MOST)

    def _now(self, what: tuple[str, Mode, Fleet], memory: Memory, limits: tuple[int | None, int | None] | None) -> _Now:
        name, mode, fleet = what
        fleet = fleet._replace(measure=MEASURES.get(name, ""))
        state, own = memory.state, limited(self._settings.fleet(name), limits)
        mine = state.fleet(name)
        outlook = state.outlooks.get(name)
        least = bounds.fewest(fleet, own, quiet=outlook is not None and outlook.quiet_at(state.at))
        most = max(min(own.max, fleet.most), 0)
        stands = standing(mine, fleet, state.at, mode, own)
        return _Now(name, state.at, mode, fleet, stands, min(least, most), most, own, mine)

    def _fleet(
        self, now: _Now, seen: Seen, fleets: Mapping[str, Fleet], told: tuple[list[Read], int], memory: Memory
    ) -> Decision | None:
        heard = self._heard(now, seen, told, memory)
        loss = _loss(now.name, seen)
        weighed = weigh(heard, now.stands, loss)
        now.state.needed = min(max(weighed.units, now.least), now.most) if now.mode in {"approve", "auto"} else None
        money = budget.affordable(memory.state, now.name, fleets, self._settings)
        cut = self._bounded(now, weighed, money)
        if cut.units == now.stands:
            planned = ahead.coming(memory.state.outlooks.get(now.name), now.at, now.fleet)
            return held(now, weighed, cut, loss, planned)
        asked = now.state.asked
        if asked is not None and (asked.carried or not _more(asked, cut.units)):
            return None
        made = decision(now, weighed, cut)
        _remember(now, made)
        return made

    def _heard(self, now: _Now, seen: Seen, told: tuple[list[Read], int], memory: Memory) -> Heard:
        """Everybody's wishes for a fleet."""
        read, missed = told
        standing_fleet = Fleet(now.stands, 0, now.least, now.most, now.fleet.unit, now.fleet.measure)
        # In shadow nothing relieves what a rule looks at, so that it wants one more than runs, not than it has wanted.
        base = now.fleet.coming if now.mode == "shadow" else now.stands
        rules = self._rules.heard(read, now.name, base, now.own.start_delay_seconds, memory.state)
        wishes = [Wish(now.least, "minimum", f"at least {of_units(now.least, 'is', 'are')} kept", "high")]
        wishes += [_cooled(wish, now) for wish in rules.wishes]
        leaves = list(rules.leaves)
        if now.name in TRACKED:
            # Without the most: that it is reached is for the bounds to say.
            unbound = standing_fleet._replace(most=_UNBOUND)
            tracked = track(now.name, seen, unbound, missed, policy_of(now.name, memory, self._settings))
            wishes += tracked.wishes
            leaves += tracked.leaves
        outlook = memory.state.outlooks.get(now.name)
        # One that was made in the future was made before the clock was set right.
        if outlook is not None and outlook.made_at <= now.at + self._settings.tick_seconds:
            watch = memory.state.watch(now.name)
            watch.see(now.at, seen.value(now.name, "demand"), outlook, now.fleet)
            wishes += ahead.asks(outlook, watch, now.at, standing_fleet, (now.own, self._settings))
        return Heard(tuple(wishes), tuple(leaves))

    def _bounded(self, now: _Now, weighed: Weighed, money: budget.Money | None) -> bounds.Cut:
        """The wish within all bounds, with what each of them took."""
        first = bounds.within(weighed.units, now.least, now.most, money)
        why = list(first.why)
        inputs = money.inputs if money is not None and money.why in why else {}
        forced = now.stands > now.most or (money is not None and now.stands > max(money.units, now.least))
        steady = bounds.steadied(first.units, now.stands, now.state, now.at, now.own)
        second = bounds.Cut(first.units) if forced else steady
        why += second.why
        third = bounds.stepped(second.units, now.stands, now.own)
        why += third.why
        cooling = "" if forced else bounds.cooling(third.units, now.stands, now.state, now.at, now.own)
        refused = _refused(now, third.units)
        if cooling or refused:
            return bounds.Cut(now.stands, (*why, cooling or refused), inputs, first.capped)
        return bounds.Cut(third.units, tuple(why), inputs, first.capped)


def limited(own: FleetSettings, limits: tuple[int | None, int | None] | None) -> FleetSettings:
    """A fleet's settings with the bounds that operators have set beside them; its most is never passed."""
    if limits is None:
        return own
    most = own.max if limits[1] is None else min(limits[1], own.max)
    least = own.min if limits[0] is None else limits[0]
    return msgspec.structs.replace(own, min=min(least, most), max=most)


def cleaned(seen: Seen) -> Seen:
    """Without what cannot be a measurement: no number, infinite, negative. That counts as not measured, and is said."""
    bad = {key: value for key, value in seen.values.items() if not math.isfinite(value) or value < 0}
    if not bad:
        return seen
    missing = dict(seen.missing)
    for key, value in bad.items():
        missing[f"{key.component}.{key.metric}"] = f"{value:g} cannot be a measurement"
    return seen._replace(values={key: value for key, value in seen.values.items() if key not in bad}, missing=missing)


def _loss(name: str, seen: Seen) -> str:
    """Why fewer units must not be thought of: what a tracked fleet is judged by was not measured."""
    if name not in TRACKED or seen.value(name, "demand") is not None:
        return ""
    why = seen.missing.get(f"{name}.demand") or seen.missing.get(name)
    causes = why or "; ".join(f"{source}: {text}" for source, text in seen.missing.items())
    return f"{name}.demand is not measured" + (f" ({causes})" if causes else "")


def _cooled(wish: Wish, now: _Now) -> Wish:
    """A rule adds again only when its last addition has had time to show."""
    if wish.refused or now.state.changed_at is None:
        return wish
    left = now.state.changed_at + now.own.up_cool_down_seconds + now.own.start_delay_seconds - now.at
    return wish._replace(refused=f"the last change has {left:.0f} s more to show its effect") if left > 0 else wish


def quantile_of(counts: Mapping[int, int], share: float) -> float | None:
    """The quantile of counted durations."""
    return Histogram(counts).quantile(share)


def _carried(state: FleetState, act: Decision | None) -> None:
    """An act that is carried out, be it one that another process has decided, or that has just ended."""
    if act is None:
        if state.asked is not None and state.asked.carried:
            state.asked = None
    elif state.asked is None or state.asked.id != act.id or not state.asked.carried:
        state.asked = Asked(act.id, act.at, act.before, act.after, carried=True)


def _refused(now: _Now, units: int) -> str:
    left = now.state.refused_until - now.at
    if units == now.stands or left <= 0:
        return ""
    return f"{now.state.refused_why}; not tried again for {left:.0f} s"


def _more(asked: Asked, units: int) -> bool:
    """Whether a wish goes beyond what is under way; anything else waits for that to end."""
    return asked.after > asked.before and units > asked.after


def _remember(now: _Now, made: Decision) -> None:
    state = now.state
    state.changed_at = now.at
    if made.after > made.before:
        state.grown_at = now.at
    state.held = ""
    if now.mode == "shadow":
        state.virtual = made.after
    else:
        state.asked = Asked(made.id, now.at, made.before, made.after)
