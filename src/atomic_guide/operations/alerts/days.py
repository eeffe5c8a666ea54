"""How far back the same moment of the day before, or of the same weekday a week before, lies. Pure but for time zones.

By the clock that people live by, so that nine o'clock is compared with nine o'clock also on the day after the clocks
were changed: that is 23, 24 or 25 hours. What grows from midnight on, such as the cost of the day, is compared at the
same length of the day: that is as far back as the earlier midnight lies. Where the earlier day was shorter than what
has passed of this one, it has no such moment, and there is nothing to compare with.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.names import When

_DAYS: dict[When, int] = {"previous_day": 1, "previous_week": 7}
_CHANGES_SEEN = 800
"""Days ahead over which a zone is looked at for changes of its clocks: two years have two of each kind."""


def midnight(at: float, zone: tzinfo) -> float:
    """When the day of a moment began, s since the epoch."""
    local = datetime.fromtimestamp(at, zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()


def back(at: float, when: When, zone: tzinfo, *, daily: bool) -> float | None:
    """Seconds from the earlier moment to `at`; None where there is no such moment. 0 for now."""
    if when == "now":
        return 0.0
    local = datetime.fromtimestamp(at, zone)
    earlier = local - timedelta(days=_DAYS[when])
    if not daily:
        # Whole seconds: a local time has microseconds, and `at` has more.
        return float(round(at - earlier.replace(fold=0).timestamp()))
    begin = midnight(at, zone)
    start = earlier.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    length = (start + timedelta(days=1)).timestamp() - start.timestamp()
    return None if at - begin >= length else begin - start.timestamp()


@lru_cache(maxsize=64)
def shifts(day: str, when: When, zone: tzinfo, *, daily: bool) -> tuple[float, ...]:
    """Every distance that `back` gives from a day (ISO 8601) on, the usual one first: for languages without zones."""
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    found: dict[float, int] = {}
    for hour in range(_CHANGES_SEEN * 24):
        distance = back((begin + timedelta(hours=hour)).timestamp(), when, zone, daily=daily)
        if distance:
            found[distance] = found.get(distance, 0) + 1
    return tuple(sorted(found, key=lambda distance: -found[distance]))
