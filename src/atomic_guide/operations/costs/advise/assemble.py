"""From what triggers have found to recommendations: one for each change, priced, and the set of all priced as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from atomic_guide.operations.costs.advise.model import Advice, Advices, Confidence, Considered, Draft, Effect
from atomic_guide.operations.costs.money import ZERO
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.pricing import Priced, difference, priced
from atomic_guide.operations.costs.state import State

_SURE_HOURS, _LIKELY_HOURS = 21 * 24, 14 * 24


class Window(NamedTuple):
    """The time that recommendations look back upon, as ISO 8601, and how much of it was measured."""

    at: str
    since: str
    hours: Decimal


def changed(state: State, effects: Iterable[Effect]) -> State:
    """A state after some effects. Two on one fleet are the further one: whoever takes two of two does not take four."""
    units: dict[str, Decimal] = {}
    for effect in effects:
        if effect.kind == "units":
            units[effect.fleet] = min(effect.units, units.get(effect.fleet, effect.units))
        elif effect.kind == "reads":
            state = msgspec.structs.replace(state, reads=max(state.reads - effect.amount, 0))
        else:
            state = state.moved(min(effect.amount, state.stored.get("hot", 0)), effect.target, effect.recalled)
    for fleet, count in units.items():
        if fleet in state.fleets:
            state = state.with_units(fleet, min(count, state.units(fleet)))
    return state


def assemble(state: State, prices: Prices, found: Iterable[Draft | Considered], window: Window) -> Advices:
    """The recommendations. None is made where the two states cost the same, or the second one more."""
    before = priced(state, prices)
    by_id: dict[str, list[Draft]] = {}
    considered = []
    for one in found:
        if isinstance(one, Considered):
            considered.append(one)
        else:
            by_id.setdefault(one.id, []).append(one)
    made = []
    for drafts in by_id.values():
        after = priced(changed(state, [draft.effect for draft in drafts]), prices)
        if difference(before, after) > ZERO:
            made.append(_advice(drafts, before, after, window))
            continue
        first = drafts[0]
        why = f"{first.title}: the two states cost the same to the cent ({before.shown} {before.currency} a month)"
        considered += [Considered(draft.trigger, why, draft.evidence) for draft in drafts]
    made = _overlapping(made)
    everything = priced(changed(state, [effect for one in made for effect in one.effects]), prices)
    made.sort(key=lambda one: (-one.saving, one.id))
    return Advices(
        at=window.at, since=window.since, hours=window.hours, currency=before.currency, version=before.version,
        before=before.shown, after=everything.shown, saving=difference(before, everything),
        recommendations=tuple(made), considered=tuple(considered),
    )  # fmt: skip


def _advice(drafts: Sequence[Draft], before: Priced, after: Priced, window: Window) -> Advice:
    first = drafts[0]
    confidence, why = _confidence(window.hours)
    return Advice(
        id=first.id,
        title=first.title,
        triggers=tuple(dict.fromkeys(draft.trigger for draft in drafts)),
        evidence=tuple(dict.fromkeys(figure for draft in drafts for figure in draft.evidence)),
        since=window.since,
        until=window.at,
        hours=window.hours,
        before=before.shown,
        after=after.shown,
        saving=difference(before, after),
        currency=before.currency,
        version=before.version,
        risk=first.risk,
        confidence=confidence,
        confidence_why=why,
        breaks=first.breaks,
        steps=first.steps,
        checked=tuple(dict.fromkeys(text for draft in drafts for text in draft.checked)),
        overlaps=(),
        change=first.change,
        effects=tuple(dict.fromkeys(draft.effect for draft in drafts)),
    )


def _confidence(hours: Decimal) -> tuple[Confidence, str]:
    days = f"{hours / 24:.1f} days were measured"
    if hours >= _SURE_HOURS:
        return "high", f"{days}: every weekday three times or more"
    if hours >= _LIKELY_HOURS:
        return "medium", f"{days}: every weekday twice"
    return "low", f"{days}: what other weeks bring is not known"


def _overlapping(made: list[Advice]) -> list[Advice]:
    places = {one.id: {(effect.kind, effect.fleet) for effect in one.effects} for one in made}
    return [
        msgspec.structs.replace(
            one,
            overlaps=tuple(sorted(name for name, mine in places.items() if name != one.id and mine & places[one.id])),
        )
        for one in made
    ]
