"""What the time ahead asks for: a floor by the forecast, room around daily peaks, entries of the schedule.

All of them only ask for at least so many units; what is measured may ask for more, and goes first.
"""

from __future__ import annotations

import math

from atomic_guide.operations.scaling.decide.outlook import Outlook, Peak
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.decide.wish import Wish
from atomic_guide.operations.scaling.fleet import Fleet, of_units
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings

FORECAST, PEAKS, SCHEDULE, PLAN = "forecast-floor", "daily-peak", "schedule", "next-peak"

BEFORE, AFTER = 900.0, 1800.0
"""Around each daily peak: ready fifteen minutes before it begins, until thirty after it has ended."""

CROWDED = 0.8
"""A peak over this share of what runs is prepared for, and said a week before."""

_WEEK = 7 * 86400.0
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def asks(outlook: Outlook, watch: Watch, at: float, fleet: Fleet, settings: tuple[FleetSettings, ScalingSettings]
         ) -> list[Wish]:  # fmt: skip
    """The wishes that hold at a moment. Those of a forecast that has been wrong are refused, and say so."""
    own, every = settings
    refused = "" if watch.trusted else f"the forecast is not used: {watch.why}"
    floor = _floor(outlook, at, fleet, own, every) if every.forecast_floor != "off" else None
    wishes = [] if floor is None else [floor]
    wishes += [
        _around(outlook, peak, at, fleet, own)
        for peak in outlook.peaks
        if peak.begins - BEFORE - own.start_delay_seconds <= at < peak.ends + AFTER
    ]
    wishes = [wish._replace(refused=refused) for wish in wishes if wish.units]
    for entry in outlook.entries:
        if entry.begins - own.start_delay_seconds <= at < entry.ends:
            note = f" ({entry.note})" if entry.note else ""
            wishes.append(
                Wish(entry.units, SCHEDULE, f"the schedule asks for {of_units(entry.units)}{note}", "low",
                     "pre_scale_resources", {"schedule.units": float(entry.units)})
            )  # fmt: skip
    return wishes


def _floor(outlook: Outlook, at: float, fleet: Fleet, own: FleetSettings, settings: ScalingSettings) -> Wish | None:
    """What the forecast expects within the time of a start and the horizon; None where it has no such hours."""
    upper = settings.forecast_floor == "p95"
    until = at + own.start_delay_seconds + settings.forecast_ahead_seconds
    demand = outlook.most(at, until, upper=upper)
    if demand is None:
        return None
    units = math.ceil(demand / fleet.unit)
    name = "p95" if upper else "p50"
    why = f"{name} of the forecast until {until - at:.0f} s ahead is {fleet.work(demand)}"
    inputs: dict[str, float | None] = {f"forecast.{name}": demand}
    return Wish(units, FORECAST, why, "low", "pre_scale_resources", inputs)


def _around(outlook: Outlook, peak: Peak, at: float, fleet: Fleet, own: FleetSettings) -> Wish:
    units = math.ceil(peak.demand / fleet.unit)
    what = f"a daily peak of {fleet.work(peak.demand)}"
    where = f"{what} begins in {(peak.begins - at) / 60:.0f} min"
    if at >= peak.begins:
        where = f"{what} began {(at - peak.begins) / 60:.0f} min ago"
    if outlook.quiet_at(at):
        units = math.ceil(own.quiet_share * units)
        where += f", in quiet hours, for which {own.quiet_share:.0%} of it is kept ready"
    inputs: dict[str, float | None] = {"peak.demand": peak.demand, "peak.intensity": peak.intensity}
    return Wish(units, PEAKS, where, "low", "pre_scale_resources", inputs)


def _told(at: float) -> str:
    """A time of the next week, as people say it."""
    days, seconds = divmod(int(at), 86400)
    # The first day of 1970 was a Thursday.
    return f"on {_WEEKDAYS[(days + 3) % 7]} at {seconds // 3600:02}:{seconds // 60 % 60:02} UTC"


def coming(outlook: Outlook | None, at: float, fleet: Fleet) -> tuple[Peak, str] | None:
    """The highest peak of the next week where it exceeds four fifths of what runs, and what is to be done about it."""
    if outlook is None:
        return None
    ahead = [peak for peak in outlook.peaks if at < peak.begins <= at + _WEEK]
    highest = max(ahead, key=lambda peak: peak.demand, default=None)
    capacity = fleet.coming * fleet.unit
    if highest is None or highest.demand <= CROWDED * capacity:
        return None
    sure = "" if outlook.confidence is None else f", kept by {outlook.confidence:.0%} of the weeks before"
    units = math.ceil(highest.demand / fleet.unit)
    text = (
        f"nothing more is wanted yet; the highest peak of the next week begins {_told(highest.begins)} with up to"
        f" {fleet.work(highest.demand)}"
        f" (p95{sure}), over {CROWDED:.0%} of the {fleet.work(capacity)} that {of_units(fleet.coming, 'does', 'do')}:"
        f" {of_units(units, 'is', 'are')} started {BEFORE / 60:.0f} min before it"
    )
    return highest, text
