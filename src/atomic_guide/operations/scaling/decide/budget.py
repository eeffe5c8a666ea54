"""What may be spent: of a day as it comes, of a month at a pace.

The pace of a month is worked out once an hour, so that a fleet is not changed by it more often. What the rest of the
month is expected to cost is what each of its hours of the week has lately been wanted to cost, held back or not. Where
that and what is spent exceed the budget, the highest hours are cut and no others: the level is the amount an hour with

    sum over the hours that are left of max(fewest, min(expected, level)) = budget - spent

so that the money lasts to the month's last day and quiet hours lose nothing. Between fleets a level is divided by what
they want beyond their fewest units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.scaling.decide.memory import Month, Pace, State
from atomic_guide.operations.scaling.fleet import Fleet, of_units
from atomic_guide.operations.scaling.settings import ScalingSettings
from atomic_guide.operations.scaling.trace import Series

_HOUR = 3600.0
_DAY_HOURS, _WEEK, _MONDAY = 24, 168, 72

_NEWEST = 0.3
"""Share of the newest week in what an hour of the week is expected to cost: half of it is of the last two weeks."""

_MONTHS_KEPT = 3
"""After a clock that was wrong by a month the right one is still known."""

Fleets = Mapping[str, Fleet]


class Money(NamedTuple):
    """How many units of a fleet are paid for, why not more, and the figures behind it."""

    units: int
    why: str
    inputs: dict[str, float | None]


def spend(state: State, fleets: Fleets, settings: ScalingSettings, seconds: float) -> None:
    """Add what has run for the last seconds to its hour and its month, and what was wanted to the hour of the week."""
    hour, share = int(state.at // _HOUR), seconds / _HOUR
    cost = sum(fleet.coming * settings.fleet(name).unit_price for name, fleet in fleets.items()) * share
    state.spent[hour] = state.spent.get(hour, 0.0) + cost
    for old in [known for known in state.spent if known <= hour - _DAY_HOURS]:
        del state.spent[old]
    if not any(settings.fleet(name).unit_price for name in fleets):
        return
    month = _month(state)
    month.spent += cost
    _learn(state, hour, sum(_needs(state, fleets, settings).values()), seconds)
    if settings.budget_per_month and int(state.pace.at // _HOUR) != hour:
        state.pace = paced(state, fleets, settings)


def affordable(state: State, name: str, fleets: Fleets, settings: ScalingSettings) -> Money | None:
    """How many units of a fleet the budgets pay for now, beside the others; None without a budget or a price."""
    price = settings.fleet(name).unit_price
    if not price:
        return None
    found = []
    if settings.budget_per_day:
        found.append(_of_day(state, name, fleets, settings))
    if settings.budget_per_month and (level := state.pace.level) is not None:
        found.append(_of_month(state, name, fleets, settings, level))
    return min(found, key=lambda money: money.units, default=None)


def month_of(at: float) -> tuple[str, float, float]:
    """The month of a moment by UTC, as providers bill: its name, such as 2026-11, its begin and its end."""
    month = np.datetime64(int(at), "s").astype("datetime64[M]")
    begins, ends = (int(edge.astype("datetime64[s]").astype(np.int64)) for edge in (month, month + 1))
    return str(month), float(begins), float(ends)


def paced(state: State, fleets: Fleets, settings: ScalingSettings) -> Pace:
    """How the month stands, and the most that an hour may cost for its budget to last; no level where it lasts anyhow.

    Of a month that was not seen from its begin, the budget is the part that belongs to the rest.
    """
    name, begins, ends = month_of(state.at)
    month = _month(state)
    since = month.since if month.since > begins + _HOUR else begins
    budget = settings.budget_per_month * (ends - since) / (ends - begins)
    fewest = _fewest_cost(fleets, settings)
    expected, shares = _ahead(state, ends, fewest, sum(_needs(state, fleets, settings).values()))
    left = budget - month.spent
    forecast = float(expected @ shares)
    level = None if forecast <= left else _level(expected, shares, left, fewest)
    return Pace(state.at, name, budget, month.spent, forecast, float(shares.sum()), fewest, level)


def _of_day(state: State, name: str, fleets: Fleets, settings: ScalingSettings) -> Money:
    """Of 24 hours. It is spent as it comes; what the fewest cost for the rest of them is set aside."""
    price, hour = settings.fleet(name).unit_price, int(state.at // _HOUR)
    others = sum(one.coming * settings.fleet(other).unit_price for other, one in fleets.items() if other != name)
    fewest = _fewest_cost(fleets, settings)
    # Of every 24 hours that this hour is in, the later ones cost at least what the fewest do.
    spent = max(
        sum(money for known, money in state.spent.items() if known > hour + later - _DAY_HOURS) + later * fewest
        for later in range(_DAY_HOURS)
    )
    units = max(math.floor((settings.budget_per_day - spent - others) / price), 0)
    why = (
        f"held by the budget: {spent:,.2f} of {settings.budget_per_day:,.2f} are spent or set aside for the fewest,"
        f" others cost {others:,.2f} an hour, and the budget of a day pays for {of_units(units)}"
    )
    return Money(units, why, {"budget.day": settings.budget_per_day, "budget.spent_in_24_hours": spent})


def _of_month(state: State, name: str, fleets: Fleets, settings: ScalingSettings, level: float) -> Money:
    """A fleet's part of what an hour may cost: what others do not want, or its fair share where all want too much."""
    pace, price = state.pace, settings.fleet(name).unit_price
    needs = _needs(state, fleets, settings)
    beyond = {one: max(need - _least_cost(one, settings), 0.0) for one, need in needs.items()}
    whole = sum(beyond.values())
    fair = _least_cost(name, settings) + (level - pace.fewest) * (beyond[name] / whole if whole else 0.0)
    alone = level - sum(need for other, need in needs.items() if other != name)
    # Rounding must not cost a unit that is paid for.
    units = math.floor(max(alone, fair) / price + 1e-9)
    why = (
        f"held by the budget: {pace.spent:,.2f} of {pace.budget:,.2f} are spent this month and {pace.forecast:,.2f} are"
        f" forecast for the {pace.hours:.0f} h left; at most {level:,.2f} an hour, and that pays for {of_units(units)}"
    )
    if level <= pace.fewest:
        why += ", less than the fewest, which are kept"
    inputs: dict[str, float | None] = {
        "budget.month": pace.budget, "budget.spent": pace.spent, "budget.forecast": pace.forecast,
        "budget.hours_left": pace.hours, "budget.per_hour": level,
    }  # fmt: skip
    return Money(units, why, inputs)


def _needs(state: State, fleets: Fleets, settings: ScalingSettings) -> dict[str, float]:
    """What each fleet costs an hour, or would if it had what it wanted at its last tick, whatever held it back."""
    return {
        name: max(fleet.coming, state.fleet(name).needed or 0) * settings.fleet(name).unit_price
        for name, fleet in fleets.items()
    }


def _least_cost(name: str, settings: ScalingSettings) -> float:
    own = settings.fleet(name)
    return own.min * own.unit_price


def _fewest_cost(fleets: Fleets, settings: ScalingSettings) -> float:
    return sum(_least_cost(name, settings) for name in fleets)


def _month(state: State) -> Month:
    """The month of now, begun where it is not known."""
    name = month_of(state.at)[0]
    if name not in state.months:
        state.months[name] = Month(since=state.at)
        for old in sorted(state.months)[:-_MONTHS_KEPT]:
            state.months.pop(old)
        # A clock that was set back by years: what is newest by name is not what is now.
        state.months.setdefault(name, Month(since=state.at))
    return state.months[name]


def _slot(hour: int) -> int:
    """The hour of the week of an hour since 1970, which began on a Thursday."""
    return (hour + _MONDAY) % _WEEK


def _learn(state: State, hour: int, wanted: float, seconds: float) -> None:
    """Take the mean of an hour into that of its hour of the week when it has ended."""
    now = state.hour
    if now.hour != hour:
        if now.seconds > _HOUR / 2:
            slot = _slot(now.hour)
            mean = now.wanted / now.seconds
            known = state.usual.get(slot, mean)
            state.usual[slot] = round(known + _NEWEST * (mean - known), 4)
        now.hour, now.wanted, now.seconds = hour, 0.0, 0.0
    now.wanted += wanted * seconds
    now.seconds += seconds


def _ahead(state: State, ends: float, fewest: float, now: float) -> tuple[Series, Series]:
    """What each hour that is left is expected to cost, and how much of it is left."""
    first = state.at // _HOUR * _HOUR
    # A month ends with an hour.
    count = int((ends - first) // _HOUR)
    slots = [_slot(int(first // _HOUR) + later) for later in range(count)]
    # An hour of the week that has not been seen costs what those do that have, and before any, what is wanted now.
    mean = sum(state.usual.values()) / len(state.usual) if state.usual else now
    expected = np.array([state.usual.get(slot, mean) for slot in slots])
    shares = np.ones(count)
    shares[0] = (first + _HOUR - state.at) / _HOUR
    return np.maximum(expected, fewest), shares


def _level(expected: Series, shares: Series, left: float, fewest: float) -> float:
    """The highest cost of an hour at which what is left is enough; the fewest where nothing is."""
    order = np.argsort(expected)
    costs, weights = expected[order], shares[order]
    below = np.concatenate(([0.0], np.cumsum(costs * weights)[:-1]))
    above = np.cumsum(weights[::-1])[::-1]
    levels = (left - below) / above
    # From the cheapest on: the first hour that costs more than all from it on could.
    cut = int(np.argmax(levels < costs))
    return max(float(levels[cut]), fewest)
