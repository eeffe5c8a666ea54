"""What can be seen at a moment of series that are all in memory, the same moment of earlier days included. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from atomic_guide.operations.alerts.days import back
from atomic_guide.operations.alerts.names import Selector
from atomic_guide.operations.alerts.traces import Place, Traces


class Sights:
    """Sees `now` in one set of traces and earlier days in another, which may be the same."""

    def __init__(self, now: Traces, earlier: Traces, zone: tzinfo) -> None:
        self._now = now
        self._earlier = earlier
        self._zone = zone
        self._at = 0.0
        self._seen: dict[tuple[Selector, float], dict[Place, float]] = {}

    def at(self, moment: float) -> Sights:
        """Look at a moment; what was seen at the one before is forgotten."""
        self._at = moment
        self._seen = {}
        return self

    def values(self, selector: Selector, lookback: float) -> Mapping[Place, float]:
        """The values of a name, each looked for once in a moment."""
        found = self._seen.get((selector, lookback))
        if found is None:
            found = self._seen[selector, lookback] = self._look(selector, lookback)
        return found

    def _look(self, selector: Selector, lookback: float) -> dict[Place, float]:
        if selector.when == "now":
            return self._now.at(selector, self._at, lookback)
        distance = back(self._at, selector.when, self._zone, daily=selector.measured.daily)
        return {} if distance is None else self._earlier.at(selector, self._at - distance, lookback)
