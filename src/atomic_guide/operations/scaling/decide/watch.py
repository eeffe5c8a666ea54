"""Whether a forecast may be used: judged against what comes, tick by tick, as long as it is in force. Pure.

It steps down where the mean of the last 45 minutes has been over the upper quantile, or under two thirds of what was
expected by more than a quarter of that quantile's distance: so a new level, a break that nobody has told of, an
outage of the LMS end the floor within the hour. It steps up again where for three hours in a row the mean has stayed
within. What is not measured is not judged, and where nothing is measured, nothing is trusted for longer than an hour.
"""

from __future__ import annotations

import msgspec

from atomic_guide.operations.scaling.decide.outlook import Outlook

WINDOW = 2700.0
"""Three quarters of an hour: long enough for a burst to pass, short enough to be off within the hour."""

BACK_AFTER = 3 * 3600.0
LOW_SHARE = 2 / 3
_SLOTS = 15
_SLOT = WINDOW / _SLOTS


class Slot(msgspec.Struct):
    """Three minutes: sums over its ticks of what came and of the forecast in force."""

    at: float
    ticks: int = 0
    actual: float = 0.0
    p50: float = 0.0
    p95: float = 0.0


class Watch(msgspec.Struct):
    """What has been seen of a fleet's forecast. `trusted` and `why` are the verdict."""

    trusted: bool = False
    why: str = "the forecast has not been watched for three hours yet"
    slots: list[Slot] = []
    good_since: float | None = None
    judged_at: float | None = None

    def see(self, at: float, actual: float | None, outlook: Outlook) -> None:
        """Judge a tick: `actual` is its demand, None where it was not measured."""
        expected = outlook.hour(at)
        if actual is not None and expected is not None:
            self._note(at, actual, *expected)
        elif self.judged_at is None or at - self.judged_at > WINDOW:
            what = outlook.why or "there is no forecast for this hour" if expected is None else "demand is not measured"
            self._distrust(f"{what}, so that it cannot be judged")
            return
        self.slots = [slot for slot in self.slots if at - WINDOW < slot.at + _SLOT and slot.at <= at]
        if len(self.slots) >= _SLOTS - 1:
            self._judge(at)

    def _note(self, at: float, actual: float, p50: float, p95: float) -> None:
        self.judged_at = at
        start = at - at % _SLOT
        if not self.slots or self.slots[-1].at != start:
            self.slots.append(Slot(start))
        slot = self.slots[-1]
        slot.ticks += 1
        slot.actual += actual
        slot.p50 += p50
        slot.p95 += p95

    def _judge(self, at: float) -> None:
        ticks = sum(slot.ticks for slot in self.slots)
        actual = sum(slot.actual for slot in self.slots) / ticks
        p50 = sum(slot.p50 for slot in self.slots) / ticks
        p95 = sum(slot.p95 for slot in self.slots) / ticks
        over = actual > p95
        under = actual < LOW_SHARE * p50 and p50 - actual > (p95 - p50) / 4
        if over or under:
            side = (
                f"over the {p95:,.4g} that is passed in one hour of twenty" if over else "less than two thirds of that"
            )
            self._distrust(f"of {p50:,.4g} expected in the last {WINDOW / 60:.0f} min came {actual:,.4g}, {side}")
            return
        self.good_since = at if self.good_since is None else min(self.good_since, at)
        if not self.trusted and at - self.good_since >= BACK_AFTER:
            self.trusted, self.why = True, ""

    def _distrust(self, why: str) -> None:
        self.trusted, self.why, self.good_since = False, why, None
