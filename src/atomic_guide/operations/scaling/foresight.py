"""What operators are told of the time ahead: forecasts beside what came, how far they are relied on, the schedule.

Everything is read from the directory, where the leader keeps its forecasts (lookahead.py), so that any process can be
asked, also while nobody leads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import NotFound
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.decide.tracking import TRACKED
from atomic_guide.operations.scaling.events import Reader
from atomic_guide.operations.scaling.forecast import HOUR, LEAST_HOURS, TRAIN_HOURS
from atomic_guide.operations.scaling.lookahead import Lookahead
from atomic_guide.operations.scaling.model import MEASURES, Key
from atomic_guide.operations.scaling.schedule import Schedule, ScheduleEntry
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.showing import known, stamp
from atomic_guide.operations.scaling.telling import recall_memory

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Row
    from atomic_guide.operations.scaling.decide.memory import Memory
    from atomic_guide.operations.scaling.settings import ScalingSettings

_QUERIES = load_queries(__package__, "foresight.sql")

DAYS, DAYS_MOST = 7, 60
"""What is shown of the past, and for how long forecasts are kept as they were made."""

AHEAD_DAYS = 7
_DAY = 86_400.0
_FORECASTS_LIMIT = 400
_METRIC = "demand"


class Hour(msgspec.Struct, frozen=True):
    """An hour that has passed: what was measured, and what the newest forecast before it had said. Null is unknown."""

    timestamp: str
    measured: float | None
    p50: float | None
    p95: float | None


class Expected(msgspec.Struct, frozen=True):
    """An hour ahead: what is expected, and what is passed in one hour of twenty."""

    timestamp: str
    p50: float
    p95: float


class PeakTold(msgspec.Struct, frozen=True):
    """A daily peak that is expected; `demand` is the upper quantile of its highest hour."""

    begins: str
    ends: str
    demand: float


class Scored(msgspec.Struct, frozen=True):
    """How the first day of a kept forecast did: error as a share of the mean, coverage of its p95."""

    made_at: str
    error: float
    pinball_95: float
    coverage_95: float


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """How good forecasts are: `mase`, `pinball_95`, `coverage_95` of the back-test, `live_...` of those that were made.

    `confidence` is the share of weeks whose peak a forecast's p95 has held. Null where too little is recorded.
    """

    trusted: bool
    why: str
    confidence: float | None
    mase: float | None
    pinball_95: float | None
    coverage_95: float | None
    live_error: float | None
    live_pinball_95: float | None
    live_coverage_95: float | None


class Foreseen(NamedTuple):
    """An hour that begins at a time: what is expected of it, and what is passed in one such hour of twenty."""

    begins: float
    p50: float
    p95: float


class ForecastTold(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast of a component, hourly. `why` says why there is none; `hours` of `needed_hours` are on record."""

    component: str
    metric: str
    unit: str
    at: str
    made_at: str | None
    why: str
    hours: int
    needed_hours: int
    trust: Trust
    past: list[Hour]
    ahead: list[Expected]
    peaks: list[PeakTold]
    scores: list[Scored]


class EntryTold(msgspec.Struct, frozen=True):
    """An entry of the schedule; `fleet` is empty for all, `units` of the kind units only."""

    id: str
    fleet: str
    kind: str
    begins_at: str
    ends_at: str
    units: int | None
    note: str
    calendar: str


class Quiet(msgspec.Struct, frozen=True):
    """A span of quiet hours."""

    begins: str
    ends: str


class Way(msgspec.Struct, frozen=True):
    """How something of the schedule is changed: the setting or the command."""

    what: str
    setting: str = ""
    command: str = ""


class ScheduleTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is planned from `at` to `until`: entries, quiet hours, the peaks that the forecasts expect by fleet."""

    at: str
    until: str
    time_zone: str
    quiet_hours: str
    entries: list[EntryTold]
    quiet: list[Quiet]
    peaks: dict[str, list[PeakTold]]
    change: list[Way]


_WAYS = [
    Way("Have so many units ready at a time",
        command="atomic-guide scale schedule add --from 2027-02-01T08:00 --until 2027-02-01T12:00 --units 4"),
    Way("Tell of a term, exams, a break or a holiday",
        command="atomic-guide scale schedule add --kind holiday --from 2027-04-02 --until 2027-04-06"),
    Way("Import a calendar", command="atomic-guide scale schedule import terms.ics"),
    Way("Remove an entry", command="atomic-guide scale schedule remove ID"),
    Way("Change the quiet hours", setting="scaling.quiet_hours"),
    Way("Change whose clock counts", setting="scaling.time_zone"),
    Way("Change what of the forecast is kept ready", setting="scaling.forecast_floor"),
]  # fmt: skip


class Foresight:
    """The time ahead of an installation, as it is told."""

    def __init__(self, directory: Database, settings: ScalingSettings) -> None:
        self._reader = Reader(directory)
        self._directory = directory
        self.settings = settings
        self._series = Series(directory)
        self._schedule = Schedule(directory)
        self._lookahead = Lookahead(directory, self._series, settings)

    async def forecast(self, component: str, metric: str, days: int, at: float) -> ForecastTold:
        """The forecast of a component beside what came in the last `days`. Raises `NotFound` where none is made."""
        if component not in TRACKED or metric != _METRIC:
            made = " and ".join(f"{_METRIC} of {name}" for name in TRACKED)
            raise NotFound(f"no forecast of {metric[:40]} of {component[:40]} is made; there are those of {made}")
        memory = await recall_memory(self._reader)
        outlook = memory.state.outlooks.get(component)
        rows = await self._kept(component, at - (days + 1) * _DAY)
        past = await self._past(component, at - days * _DAY, at, rows)
        hours = await self._hours(component, at)
        return ForecastTold(
            component=component,
            metric=metric,
            unit=MEASURES[component],
            at=iso(at),
            made_at=iso(outlook.made_at) if outlook is not None else None,
            why=_missing(outlook, hours),
            hours=hours,
            needed_hours=LEAST_HOURS,
            trust=_trust(component, memory, outlook),
            past=past,
            ahead=_ahead(outlook, at),
            peaks=_peaks(outlook, at),
            scores=[
                Scored(iso(row["made_at"]), **msgspec.json.decode(row["score"]))
                for row in rows
                if row["score"] is not None
            ],
        )

    async def hours(self, component: str, since: float, until: float, at: float) -> list[Foreseen]:
        """Hours between two times as they were forecast, those that have not passed as they are now; in order."""
        outlook = (await recall_memory(self._reader)).state.outlooks.get(component)
        begin, present = since // HOUR * HOUR, at // HOUR * HOUR
        p50, p95 = _said(await self._kept(component, begin - _DAY), begin, round((present - begin) / HOUR))
        found = [Foreseen(begin + number * HOUR, *both) for number, both in enumerate(zip(p50, p95, strict=True))]
        if outlook is not None:
            coming = enumerate(zip(outlook.p50, outlook.p95, strict=True))
            found += [Foreseen(outlook.begins + number * HOUR, *both) for number, both in coming]
        passed = len(p50)
        known = [one for place, one in enumerate(found) if place < passed or present <= one.begins < until]
        return [one for one in known if not math.isnan(one.p50 + one.p95)]

    async def schedule(self, at: float) -> ScheduleTold:
        """What is planned for the next week."""
        until = at + AHEAD_DAYS * _DAY
        entries = [entry for entry in await self._schedule.entries(at) if entry.begins_at < until]
        outlooks = (await recall_memory(self._reader)).state.outlooks
        return ScheduleTold(
            at=iso(at),
            until=iso(until),
            time_zone=self.settings.time_zone,
            quiet_hours=self.settings.quiet_hours,
            entries=[entry_told(entry) for entry in entries],
            quiet=[
                Quiet(iso(begin), iso(end)) for begin, end in self._lookahead.quiet(at) if at < end and begin < until
            ],
            peaks={fleet: found for fleet in TRACKED if (found := _peaks(outlooks.get(fleet), at))},
            change=_WAYS,
        )

    async def _kept(self, component: str, since: float) -> list[Row]:
        wanted = {"component": component, "metric": _METRIC, "since": since, "limit": _FORECASTS_LIMIT}
        return list(await self._directory.read(_QUERIES["read_forecasts"], wanted))

    async def _past(self, component: str, since: float, at: float, rows: Sequence[Row]) -> list[Hour]:
        begin, end = since // HOUR * HOUR, at // HOUR * HOUR
        readings = await self._series.read(Key(component, _METRIC), begin, end, int(HOUR))
        p50, p95 = _said(rows, begin, len(readings.values))
        columns = (readings.times.tolist(), readings.values.tolist(), p50, p95)
        return [
            Hour(stamp(moment), known(value), known(middle), known(upper))
            for moment, value, middle, upper in zip(*columns, strict=True)
        ]

    async def _hours(self, component: str, at: float) -> int:
        """Hours with demand among those that a forecast is made from."""
        end = at // HOUR * HOUR
        readings = await self._series.read(Key(component, _METRIC), end - TRAIN_HOURS * HOUR, end, int(HOUR))
        return int(np.count_nonzero(~np.isnan(readings.values)))


def _said(rows: Sequence[Row], begin: float, count: int) -> tuple[list[float], list[float]]:
    """What kept forecasts said of so many hours from a time on, as p50 and p95; NaN where none did."""
    p50, p95 = np.full(count, math.nan), np.full(count, math.nan)
    # The oldest first, so that of several the newest before an hour stands.
    for row in rows:
        first = round((row["begins_at"] - begin) / HOUR)
        for into, name in ((p50, "p50"), (p95, "p95")):
            made = np.array(msgspec.json.decode(row[name], type=list[float]))
            into[max(first, 0) :] = math.nan
            inside = made[max(-first, 0) :][: max(count - max(first, 0), 0)]
            into[max(first, 0) : max(first, 0) + len(inside)] = inside
    return p50.tolist(), p95.tolist()


def entry_told(entry: ScheduleEntry) -> EntryTold:
    """An entry of the schedule with times as text."""
    plain: dict[str, Any] = msgspec.structs.asdict(entry)
    return EntryTold(**{**plain, "begins_at": iso(entry.begins_at), "ends_at": iso(entry.ends_at)})


def _missing(outlook: Outlook | None, hours: int) -> str:
    if outlook is not None and outlook.p50:
        return ""
    if hours < LEAST_HOURS:
        return "there are not yet two weeks of demand on record"
    return (
        outlook.why if outlook is not None and outlook.why else "none has been made yet: the leader makes one each hour"
    )


def _trust(component: str, memory: Memory, outlook: Outlook | None) -> Trust:
    watch = memory.state.watch(component)
    usage = outlook.usage if outlook is not None else {}
    names = ("mase", "pinball_95", "coverage_95", "live_error", "live_pinball_95", "live_coverage_95")
    return Trust(
        trusted=watch.trusted,
        why="" if watch.trusted else (outlook.why if outlook is not None and outlook.why else watch.why),
        confidence=outlook.confidence if outlook is not None else None,
        **{name: usage.get(name) for name in names},
    )


def _ahead(outlook: Outlook | None, at: float) -> list[Expected]:
    if outlook is None:
        return []
    rows = []
    for number, (p50, p95) in enumerate(zip(outlook.p50, outlook.p95, strict=True)):
        begin = outlook.begins + number * HOUR
        if at - HOUR < begin < at + AHEAD_DAYS * _DAY:
            rows.append(Expected(stamp(begin), p50, p95))
    return rows


def _peaks(outlook: Outlook | None, at: float) -> list[PeakTold]:
    if outlook is None:
        return []
    until = at + AHEAD_DAYS * _DAY
    found = [peak for peak in outlook.peaks if peak.ends > at and peak.begins < until]
    return [PeakTold(iso(peak.begins), iso(peak.ends), peak.demand) for peak in found]
