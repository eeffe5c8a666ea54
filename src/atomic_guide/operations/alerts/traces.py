"""What was measured of late, by series, and what of it holds at a moment: the newest value, if not too old. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from atomic_guide.operations.alerts.names import Selector

LOOKBACK = 40.0
"""Seconds for which a value holds: it bridges two ticks of 15 s that were missed, and not a third."""

Place = tuple[str, ...]
"""The values of the labels that tell the values of a name apart."""


class Sight(Protocol):
    """What can be seen at a moment."""

    def values(self, selector: Selector, lookback: float) -> Mapping[Place, float]:
        """The values of a name, by their labels; what was not measured within `lookback` seconds is absent."""
        ...


class _Trace(NamedTuple):
    times: list[float]
    values: list[float]


class Traces:
    """Series as they came, in the order of time."""

    def __init__(self) -> None:
        self._metrics: dict[str, dict[tuple[str, str], _Trace]] = {}

    def note(self, at: float, series: tuple[str, str, str], value: float) -> None:
        """A measurement of (component, metric, part); one that is not newer than the last of it is passed over."""
        component, metric, part = series
        trace = self._metrics.setdefault(metric, {}).setdefault((component, part), _Trace([], []))
        if not trace.times or at > trace.times[-1]:
            trace.times.append(at)
            trace.values.append(value)

    def extend(self, series: tuple[str, str, str], times: Iterable[float], values: Iterable[float]) -> None:
        """Many measurements of a series, in the order of time."""
        for at, value in zip(times, values, strict=True):
            self.note(at, series, value)

    def forget(self, before: float, after: float) -> None:
        """Let go of what is older, and of what lies ahead, which a clock that was set back leaves behind."""
        for parts in self._metrics.values():
            for name in list(parts):
                times, values = parts[name]
                first, last = bisect_left(times, before), bisect_right(times, after)
                if first or last < len(times):
                    parts[name] = _Trace(times[first:last], values[first:last])
                    if first >= last:
                        del parts[name]

    def at(self, selector: Selector, moment: float, lookback: float = LOOKBACK) -> dict[Place, float]:
        """The values of a name at a moment."""
        found: dict[Place, float] = {}
        component = selector.measured.component
        for (owner, part), (times, values) in self._metrics.get(selector.measured.metric, {}).items():
            if component not in {None, owner} or not selector.takes(owner, part):
                continue
            last = bisect_right(times, moment) - 1
            if last >= 0 and moment - times[last] <= lookback:
                place = selector.place(owner, part)
                found[place] = max(values[last], found.get(place, values[last]))
        return found
