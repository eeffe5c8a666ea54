"""What a change has really saved: what ran since, beside what would have run under the same load without it.

Fewer units at least change what runs only where the fleet would have been at its fewest. So without the change as many
would have run as did, or the former fewest where that is more (in quiet hours its share), in each slot of time. Both
are priced with the prices of now over the hours that were measured; and for both it is counted in which minutes the
demand was more than they can do.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from atomic_guide.operations.costs.measured import COSTS
from atomic_guide.operations.costs.money import ZERO, cents, exact, over, times
from atomic_guide.operations.costs.pace import pace_state
from atomic_guide.operations.costs.pricing import MONTH_HOURS, difference, priced
from atomic_guide.operations.costs.usage import MINUTE, TOTALS, read_usage
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.settings import quiet_span, zone_of

if TYPE_CHECKING:
    from atomic_guide.operations.costs.advise.model import Advice, Values
    from atomic_guide.operations.costs.state import State
    from atomic_guide.operations.costs.terms import Terms
    from atomic_guide.operations.scaling.series import Series
    from atomic_guide.operations.scaling.settings import ScalingSettings

Outcome = Literal["saved", "saved nothing", "hurt", "too early"]

_HOUR = 3600.0
_FINE_HOURS = 48
"""Up to here minutes are read, then quarters of an hour: as fine as the record is whole."""

_QUARTER = 900
_DIGITS = Decimal("0.0001")


class Verdict(msgspec.Struct, frozen=True):
    """`saved` is in the measured `hours`, `expected` what was promised for so many; minutes are over capacity.

    `hurt` where more minutes were over capacity than without the change; `too early` below an hour.
    """

    outcome: Outcome
    final: bool
    hours: Decimal
    saved: Decimal
    expected: Decimal
    currency: str
    units: Decimal
    units_without: Decimal
    minutes: int
    minutes_without: int


async def judge(series: Series, terms: Terms, advice: Advice, applied_at: float, now: float) -> Verdict:
    """Measure a change of the fewest units of a fleet. Raises ValueError for a recommendation without a change."""
    change = advice.change
    if change is None:
        raise ValueError(advice.id)
    until = min(now, applied_at + terms.costs.verdict_hours * _HOUR)
    slot = MINUTE if until - applied_at <= _FINE_HOURS * _HOUR else _QUARTER
    # The slot in which it was applied belongs to both times.
    since = math.ceil(applied_at / slot) * slot
    until = max(until // slot * slot, since)
    usage = await read_usage(series, since, until, slot, TOTALS)
    units = await series.read(Key(COSTS, "units", change.fleet), since, until, slot)
    demand = await series.read(Key(change.fleet, "demand"), since, until, slot)
    ran = units.values + change.shared
    without = np.maximum(ran, floors(units.times, change.former, terms.scaling, change.fleet))
    known = ~np.isnan(ran)
    hours = exact(float(known.sum()) * slot / _HOUR).quantize(_DIGITS)
    mean, mean_without = (_mean(row, known) for row in (ran, without))
    state = pace_state(terms, usage.pace)
    actual = state.with_units(change.fleet, max(mean - change.shared, ZERO)) if change.fleet in state.fleets else state
    other = _with(terms, actual, change.fleet, max(mean_without - change.shared, ZERO))
    saved = difference(priced(other, terms.prices, hours), priced(actual, terms.prices, hours))
    minutes, minutes_without = (_over(row, demand.most, change.unit, slot) for row in (ran, without))
    return Verdict(
        outcome=_outcome(hours, saved, minutes, minutes_without),
        final=now >= applied_at + terms.costs.verdict_hours * _HOUR,
        hours=hours,
        saved=saved,
        expected=cents(over(times(advice.saving, hours), MONTH_HOURS)),
        currency=terms.prices.currency,
        units=mean,
        units_without=mean_without,
        minutes=minutes,
        minutes_without=minutes_without,
    )


def _outcome(hours: Decimal, saved: Decimal, minutes: int, without: int) -> Outcome:
    if hours < 1:
        return "too early"
    if minutes > without:
        return "hurt"
    return "saved" if saved > 0 else "saved nothing"


def floors(moments: Values, least: int, scaling: ScalingSettings, fleet: str) -> Values:
    """The fewest units at each moment: in quiet hours their share."""
    quiet = math.ceil(least * scaling.fleet(fleet).quiet_share)
    span = quiet_span(scaling.quiet_hours)
    if span is None:
        return np.full(len(moments), float(least))
    zone = zone_of(scaling)
    found = np.empty(len(moments))
    for place, moment in enumerate(moments.tolist()):
        local = datetime.fromtimestamp(moment, UTC).astimezone(zone)
        minute = local.hour * 60 + local.minute
        inside = span[0] <= minute < span[1] if span[0] < span[1] else minute >= span[0] or minute < span[1]
        found[place] = quiet if inside else least
    return found


def _mean(row: Values, known: Values) -> Decimal:
    return exact(float(row[known].mean())).quantize(_DIGITS) if known.any() else ZERO


def _with(terms: Terms, state: State, fleet: str, count: Decimal) -> State:
    if fleet in state.fleets:
        return state.with_units(fleet, count)
    fleets = {**state.fleets, fleet: terms.units(fleet, count)} if count else state.fleets
    return msgspec.structs.replace(state, fleets=fleets)


def _over(units: Values, demand: Values, unit: float, slot: int) -> int:
    """Minutes in which the most of the demand was more than the units do; a slot counts whole."""
    with np.errstate(invalid="ignore"):
        return round(float((demand > units * unit).sum()) * slot / MINUTE)
