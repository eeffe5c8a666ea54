"""Looking at the time ahead of a fleet, about once an hour: forecast, peaks, quiet hours, schedule, and its own record.

Every few hours the forecast is kept as it was made; a day later it is scored with what came. So the back-test, which
asks how the method would have done, stands beside how it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.calendar import Span
from atomic_guide.operations.scaling.decide.outlook import Entry, Outlook, Peak
from atomic_guide.operations.scaling.decide.tracking import TRACKED
from atomic_guide.operations.scaling.forecast import HOUR, LEAST_HOURS, WEEK, Forecast, backtest, forecast
from atomic_guide.operations.scaling.hours import local_hours
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.peaks import daily_peaks, held_peaks, usage
from atomic_guide.operations.scaling.schedule import UNITS, Schedule, ScheduleEntry, spans_of
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import ScalingSettings, quiet_span, zone_of
from atomic_guide.operations.scaling.trace import Series as Values
from atomic_guide.operations.scaling.trace import Trace

_QUERIES = load_queries(__package__, "foresight.sql")

_HORIZON = WEEK + 24
_RECORDED_HOURS = 400 * 24
"""What the series keeps: a year and a month, so that last year's break is there."""

_KEEP_EVERY = 6 * HOUR
_KEPT_SECONDS = 60 * 86400.0
_SCORED_HOURS = 24
_SCORES_LIMIT = 400
_SCORES_SHOWN = 28
"""Forecasts whose scores are averaged for people: a week of four a day."""

_QUIET_DAYS = 9
_DIGITS = 5


class Lookahead:
    """Makes the outlook of a fleet."""

    def __init__(self, directory: Database, series: Series, settings: ScalingSettings) -> None:
        self._directory = directory
        self._series = series
        self._settings = settings
        self._schedule = Schedule(directory)
        self._zone = zone_of(settings)

    async def __call__(self, fleet: str, at: float) -> Outlook:
        """What is known of the time ahead of a fleet from a moment on."""
        known = await self._schedule.entries(at - _RECORDED_HOURS * HOUR)
        outlook = Outlook(made_at=at, quiet=self.quiet(at), entries=_entries(known, fleet, at))
        if fleet not in TRACKED:
            return msgspec.structs.replace(outlook, why="its demand is not measured in units")
        trace = await self._recorded(fleet, at)
        if np.count_nonzero(~np.isnan(trace.values[-30 * 24 : -1])) < LEAST_HOURS:
            return msgspec.structs.replace(outlook, why="there are not yet two weeks of demand on record")
        found, added = await asyncio.to_thread(foresee, trace, self._zone, spans_of(known), outlook)
        return msgspec.structs.replace(added, usage=added.usage | await self._record(fleet, at, found, trace))

    def quiet(self, at: float) -> list[tuple[float, float]]:
        """Quiet hours from yesterday on, by the clock on the wall; a night of a change of time is longer or shorter."""
        span = quiet_span(self._settings.quiet_hours)
        if span is None:
            return []
        today = datetime.fromtimestamp(at, UTC).astimezone(self._zone).date()
        found = []
        for number in range(-1, _QUIET_DAYS):
            midnight = datetime.combine(today + timedelta(days=number), datetime.min.time())
            begin = midnight + timedelta(minutes=span[0])
            end = midnight + timedelta(minutes=span[1], days=int(span[1] <= span[0]))
            found.append((begin.replace(tzinfo=self._zone).timestamp(), end.replace(tzinfo=self._zone).timestamp()))
        return found

    async def _recorded(self, fleet: str, at: float) -> Trace:
        """Whole hours of demand that have passed, from the first that is known."""
        end = at // HOUR * HOUR
        begin = end - _RECORDED_HOURS * HOUR
        found = await self._series.read(Key(fleet, "demand"), begin, end, int(HOUR))
        known = np.flatnonzero(~np.isnan(found.values))
        first = int(known[0]) if len(known) else len(found.values)
        return Trace(begin + first * HOUR, HOUR, found.values[first:])

    async def _record(self, fleet: str, at: float, made: Forecast, trace: Trace) -> dict[str, float | None]:
        """Keep the forecast where it is time, score those whose day has passed, and say how they did."""
        names = {"component": fleet, "metric": "demand"}
        since = {**names, "since": at - _KEPT_SECONDS, "limit": _SCORES_LIMIT}
        rows = await self._directory.read(_QUERIES["read_forecasts"], since)
        scored = [
            {**names, "made_at": row["made_at"], "score": msgspec.json.encode(score).decode()}
            for row in rows
            if row["score"] is None and (score := _score(row, trace)) is not None
        ]
        new = not rows or at - rows[-1]["made_at"] >= _KEEP_EVERY
        kept = {**names, "made_at": at, "begins_at": made.start, "p50": _listed(made.p50), "p95": _listed(made.p95)}

        async def work(tx: Transaction) -> None:
            for score in scored:
                await tx.execute(_QUERIES["score_forecast"], score)
            if new:
                await tx.execute(_QUERIES["put_forecast"], kept)
                await tx.execute(_QUERIES["prune_forecasts"], {"before": at - _KEPT_SECONDS})

        if scored or new:
            await self._directory.write(work)
        texts = [row["score"] for row in rows if row["score"] is not None] + [one["score"] for one in scored]
        return _averaged([msgspec.json.decode(text) for text in texts[-_SCORES_SHOWN:]])


def foresee(trace: Trace, zone: ZoneInfo, spans: Sequence[Span], outlook: Outlook) -> tuple[Forecast, Outlook]:
    """The forecast of recorded hours, and an outlook with what it says. Some milliseconds.

    Raises `Invalid` where there are not more than two weeks of them.
    """
    found = forecast(trace, _HORIZON, zone, spans)
    # The hour before is forecast too, as it would have been: who judges the forecast looks half an hour back.
    before = forecast(trace._replace(values=trace.values[:-1]), 1, zone, spans)
    p50, p95 = np.concatenate((before.p50, found.p50)), np.concatenate((before.p95, found.p95))
    peaks = daily_peaks(found, local_hours(found.start, _HORIZON, zone))
    seen = usage(trace, local_hours(trace.start, len(trace.values), zone))
    tested = backtest(trace, zone=zone, spans=spans)._asdict()
    return found, msgspec.structs.replace(
        outlook,
        begins=before.start,
        p50=[_short(value) for value in p50.tolist()],
        p95=[_short(value) for value in p95.tolist()],
        confidence=held_peaks(trace, zone, spans),
        peaks=[Peak(peak.begins, peak.ends, _short(peak.p95), _short(peak.intensity)) for peak in peaks],
        usage={**seen._asdict(), **{name: tested[name] for name in ("mase", "pinball_95", "coverage_95")}},
    )


def _score(row: Any, trace: Trace) -> dict[str, float] | None:
    """How the first day of a kept forecast did; None where it has not passed or was not measured."""
    first = round((row["begins_at"] - trace.start) / HOUR)
    if first < 0 or first + _SCORED_HOURS > len(trace.values):
        return None
    actual = trace.values[first : first + _SCORED_HOURS]
    known = ~np.isnan(actual)
    mean = float(actual[known].mean()) if known.any() else 0.0
    if not mean:
        return None
    p50, p95 = (np.array(msgspec.json.decode(row[name])[:_SCORED_HOURS]) for name in ("p50", "p95"))
    over = (actual - p95)[known]
    return {
        "error": float(np.abs(actual - p50)[known].mean()) / mean,
        "pinball_95": 100 * float(np.where(over > 0, 0.95 * over, -0.05 * over).mean()) / mean,
        "coverage_95": float((over <= 0).mean()),
    }


def _averaged(scores: list[dict[str, float]]) -> dict[str, float | None]:
    names = ("error", "pinball_95", "coverage_95")
    return {f"live_{name}": sum(one[name] for one in scores) / len(scores) if scores else None for name in names}


def _entries(known: list[ScheduleEntry], fleet: str, at: float) -> list[Entry]:
    return [
        Entry(entry.begins_at, entry.ends_at, entry.units or 0, entry.note)
        for entry in known
        if entry.kind == UNITS and entry.fleet in {"", fleet} and entry.ends_at > at
        and entry.begins_at < at + _HORIZON * HOUR
    ]  # fmt: skip


def _listed(values: Values) -> str:
    return msgspec.json.encode([_short(value) for value in values.tolist()]).decode()


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
