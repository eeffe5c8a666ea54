"""Reads recorded series into traces: those of earlier days for `previous_...`, and those of a time that is replayed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING

import numpy as np

from atomic_guide.operations.alerts.days import back
from atomic_guide.operations.alerts.names import Measured, Selector, When
from atomic_guide.operations.alerts.rule import KEPT_UNMEASURED
from atomic_guide.operations.alerts.traces import Traces
from atomic_guide.operations.scaling.model import Key

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Readings, Series

_AHEAD = 900.0
"""Seconds that are read at once: rules that look back cost a read of some hundred rows each quarter of an hour."""

_STEP = 15
_QUANTILE = re.compile(r"(.+)_p(50|95|99)")


async def load(series: Series, traces: Traces, measured: Measured, since: float, until: float) -> None:
    """Put what was recorded of a name into traces, a value each 15 s."""
    quantile = _QUANTILE.fullmatch(measured.metric)
    recorded = quantile[1] if quantile else measured.metric
    for key in await series.keys():
        if key.metric != recorded or measured.component not in {None, key.component}:
            continue
        found = await _read(series, key, int(quantile[2]) / 100 if quantile else None, (since, until))
        # A coarser row holds for all of its time.
        times = (found.times[:, None] + np.arange(0, found.step, _STEP)).ravel()
        values = np.repeat(found.values, max(found.step // _STEP, 1))
        known = ~np.isnan(values)
        place = (key.component, measured.metric, key.part)
        traces.extend(place, times[known].tolist(), values[known].tolist())


async def _read(series: Series, key: Key, quantile: float | None, span: tuple[float, float]) -> Readings:
    if quantile is None:
        return await series.read(key, *span, _STEP)
    return await series.quantiles(key, quantile, *span, _STEP)


class Earlier:
    """What rules need of earlier days, kept a quarter of an hour ahead of the moment that is evaluated."""

    def __init__(self, series: Series, selectors: Iterable[Selector], zone: tzinfo) -> None:
        self.traces = Traces()
        self._series = series
        self._zone = zone
        self._wanted: set[tuple[Measured, When]] = {(one.measured, one.when) for one in selectors if one.when != "now"}
        self._read: dict[tuple[Measured, When], tuple[float, float]] = {}

    async def look(self, at: float) -> None:
        """Have what is needed at a moment."""
        stale = [way for way in self._wanted if not self._covers(way, at)]
        if not stale:
            return
        # Whatever is needed of a metric is read into the same traces, in the order of time: all of it anew.
        self.traces = Traces()
        spans: dict[Measured, list[tuple[float, float]]] = {}
        for way in self._wanted:
            moment = self._moment(way, at)
            if moment is None:
                self._read.pop(way, None)
                continue
            self._read[way] = (moment - KEPT_UNMEASURED, moment + _AHEAD)
            spans.setdefault(way[0], []).append(self._read[way])
        for measured, each in spans.items():
            for since, until in sorted(each):
                await load(self._series, self.traces, measured, since, until)

    def _covers(self, way: tuple[Measured, When], at: float) -> bool:
        moment, span = self._moment(way, at), self._read.get(way)
        return moment is None or (span is not None and span[0] + KEPT_UNMEASURED <= moment < span[1])

    def _moment(self, way: tuple[Measured, When], at: float) -> float | None:
        measured, when = way
        distance = back(at, when, self._zone, daily=measured.daily)
        return None if distance is None else at - distance
