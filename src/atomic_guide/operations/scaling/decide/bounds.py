"""How far a wish may go: fewest and most, budget, steps, windows, cool-downs. Each cut is said in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from atomic_guide.operations.scaling.decide.budget import Money
from atomic_guide.operations.scaling.decide.memory import FleetState
from atomic_guide.operations.scaling.fleet import Fleet, of_units
from atomic_guide.operations.scaling.settings import FleetSettings

_MOST_WANTED = 240
"""Changes of what is wanted that are kept: more than one in 15 s for an hour are none that a window could hold."""


class Cut(NamedTuple):
    """What remains of a wish, and what was taken from it, in words and figures; `capped` by the most units."""

    units: int
    why: tuple[str, ...] = ()
    inputs: Mapping[str, float | None] = {}
    capped: bool = False


def fewest(fleet: Fleet, settings: FleetSettings, *, quiet: bool) -> int:
    """The fewest units now: half of them in quiet hours as shipped, never fewer than the target allows."""
    return max(settings.floor if quiet else settings.min, fleet.least)


def within(wanted: int, least: int, most: int, money: Money | None) -> Cut:
    """A wish within fewest and most and what the budget pays for, which does not go below the fewest."""
    why = []
    units = wanted
    if units > most:
        units = most
        why.append(f"at most {of_units(most, 'is', 'are')} allowed")
    if money is not None and units > max(money.units, least):
        units = max(money.units, least)
        why.append(money.why)
    if units < least:
        units = least
        why.append(f"at least {of_units(least, 'is', 'are')} kept")
    return Cut(units, tuple(why), capped=wanted > most)


def stepped(wanted: int, standing: int, settings: FleetSettings) -> Cut:
    """A wish no further from what runs than a step may go: up by some or the double, down by a share."""
    up = max(settings.up_most, standing)
    down = max(math.floor(settings.down_share * standing), 1)
    if wanted > standing + up:
        return Cut(standing + up, (f"at most {of_units(up, 'is', 'are')} added at once",))
    if wanted < standing - down:
        return Cut(standing - down, (f"at most {of_units(down, 'is', 'are')} taken away at once",))
    return Cut(wanted)


def steadied(wanted: int, standing: int, state: FleetState, at: float, settings: FleetSettings) -> Cut:
    """A wish that has lasted: the least of the window upwards, the most of the window downwards."""
    length = max(settings.up_window_seconds, settings.down_window_seconds)
    if not state.wanted or state.wanted[-1][1] != wanted:
        state.wanted.append((at, wanted))
    old = sum(1 for time, _ in state.wanted if time <= at - length)
    # The one before the windows began is kept: it was wanted until the next.
    del state.wanted[: max(old - 1, len(state.wanted) - _MOST_WANTED, 0)]
    if wanted > standing:
        lasting = min(_wanted_since(state, at - settings.up_window_seconds))
        if lasting < wanted:
            return Cut(max(lasting, standing), (f"more has not been wanted for {settings.up_window_seconds:g} s yet",))
    if wanted < standing:
        lasting = max(_wanted_since(state, at - settings.down_window_seconds))
        if lasting > wanted:
            return Cut(
                min(lasting, standing),
                (f"{of_units(lasting, 'was', 'were')} wanted in the last {settings.down_window_seconds:g} s",),
            )
    return Cut(wanted)


def _wanted_since(state: FleetState, since: float) -> list[int]:
    """What was wanted at some time since a moment."""
    ends = [time for time, _ in state.wanted[1:]]
    later = [units for (_, units), end in zip(state.wanted, ends, strict=False) if end > since]
    return [*later, state.wanted[-1][1]]


def cooling(wanted: int, standing: int, state: FleetState, at: float, settings: FleetSettings) -> str:
    """Why a step down must wait, empty where it need not."""
    if wanted < standing and state.grown_at is not None:
        left = state.grown_at + settings.down_cool_down_seconds - at
        if left > 0:
            return f"a step up was {at - state.grown_at:.0f} s ago; nothing is taken away for {left:.0f} s more"
    return ""
