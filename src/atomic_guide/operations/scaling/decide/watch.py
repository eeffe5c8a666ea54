"""Whether a forecast may be used: judged against what comes, tick by tick, as long as it is in force. Pure.

It steps down where the last 45 minutes have brought more than the upper quantile and half as much again as was
expected, or less than two thirds of that, by more than a quarter of the quantile's distance: a new level, a break that
nobody has told of, an outage of the LMS end the floor within the hour. It steps up again when for three hours in a row
that was not so. An error of less than a tenth of a unit is none. What is not measured is not judged, and where nothing
is, nothing is trusted for longer than an hour.
"""

from __future__ import annotations

import msgspec

from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.fleet import Fleet

WINDOW = 2700.0
"""Three quarters of an hour: long enough for a burst to pass, short enough to be off within the hour."""

BACK_AFTER = 3 * 3600.0
LOW_SHARE = 2 / 3
_NOISE = 0.1
"""Of what a unit does: an error of less asks for no other number of units, and is that of a server that idles."""

NOTHING = Fleet(0, 0, 0, 0, 0.0)
"""Of which everything matters."""

_NEAR = 1800.0
_SLOTS = 15
_SLOT = WINDOW / _SLOTS


class Slot(msgspec.Struct):
    """Three minutes: sums over its ticks of what came, of the least expected, of what is too much, of the distance.

    Hours are forecast, and demand may rise within one: what is expected at a tick is any of the hours within half an
    hour of it.
    """

    at: float
    ticks: int = 0
    actual: float = 0.0
    low: float = 0.0
    high: float = 0.0
    spread: float = 0.0


class Watch(msgspec.Struct):
    """What has been seen of a fleet's forecast. `trusted` and `why` are the verdict."""

    trusted: bool = False
    why: str = "the forecast has not been watched for three hours yet"
    slots: list[Slot] = []
    good_since: float | None = None
    judged_at: float | None = None

    def see(self, at: float, actual: float | None, outlook: Outlook, fleet: Fleet = NOTHING) -> None:
        """Judge a tick: `actual` is its demand, None where it was not measured; `fleet` says what of it matters."""
        expected = outlook.hour(at)
        if actual is not None and expected is not None:
            near = [hour for shift in (-_NEAR, 0.0, _NEAR) if (hour := outlook.hour(at + shift)) is not None]
            low, high = min(p50 for p50, _ in near), max(max(p95, p50 / LOW_SHARE) for p50, p95 in near)
            self._note(at, Slot(at - at % _SLOT, 1, actual, low, high, expected[1] - expected[0]))
        elif self.judged_at is None or at - self.judged_at > WINDOW:
            what = outlook.why or "there is no forecast for this hour" if expected is None else "demand is not measured"
            self._distrust(f"{what}, so that it cannot be judged")
            return
        self.slots = [slot for slot in self.slots if at - WINDOW < slot.at + _SLOT and slot.at <= at]
        if len(self.slots) >= _SLOTS - 1:
            self._judge(at, fleet)

    def _note(self, at: float, tick: Slot) -> None:
        self.judged_at = at
        if not self.slots or self.slots[-1].at != tick.at:
            self.slots.append(tick)
            return
        slot = self.slots[-1]
        slot.ticks += 1
        slot.actual += tick.actual
        slot.low += tick.low
        slot.high += tick.high
        slot.spread += tick.spread

    def _judge(self, at: float, fleet: Fleet) -> None:
        ticks = sum(slot.ticks for slot in self.slots)
        actual = sum(slot.actual for slot in self.slots) / ticks
        low = sum(slot.low for slot in self.slots) / ticks
        high = sum(slot.high for slot in self.slots) / ticks
        spread = sum(slot.spread for slot in self.slots) / ticks
        minutes, noise = f"the last {WINDOW / 60:.0f} min brought {fleet.work(actual)}", _NOISE * fleet.unit
        if actual > high + noise:
            self._distrust(f"{minutes}, over the {fleet.work(high)} that was thought possible")
        elif actual < LOW_SHARE * low and low - actual > max(spread / 4, noise):
            self._distrust(f"{minutes}, less than two thirds of the {fleet.work(low)} expected")
        else:
            self.good_since = at if self.good_since is None else min(self.good_since, at)
            if not self.trusted and at - self.good_since >= BACK_AFTER:
                self.trusted, self.why = True, ""

    def _distrust(self, why: str) -> None:
        self.trusted, self.why, self.good_since = False, why, None
