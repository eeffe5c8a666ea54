"""What each process of a server says of itself, and what has happened between two looks at that.

Every process, be it a child of a supervisor or a pod of its own, writes one row each 15 s: counters since its start,
durations by bucket, gauges of now. Whoever samples reads all rows and takes the differences from what it has seen of
each process before. Guarantees:

- Nothing is counted twice, and nothing is negative: the counters of a process that has started again begin anew.
- What a process did is divided by its own monotonic time, so that a jump of a clock changes no rate.
- A process that is known and silent makes a sum unknown, not smaller: `Look.late` names it until it counts as gone.
- Whoever begins to look has no differences yet, and so no rates: it says so for one look instead of inventing some.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import Unavailable
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.limits import PROCESSES

QUERIES = load_queries(__package__)

REPORT_SECONDS = 15.0
"""How often a process reports: as often as is sampled."""

STALE_SECONDS = 45.0
"""A report that is older is no data: two of three were not written, or the process hangs."""

GONE_SECONDS = 120.0
"""After this a silent process counts as gone, and its row is removed. One that ends removes its own."""

_REMEMBERED_LOOKS = 60
"""How many looks the last counters of a silent process are kept, to go on from where it comes back: 15 minutes. Looks,
since a clock may jump."""

_BREAK_SECONDS = 60.0
"""After a longer time without a look the next is a first one: another process may have counted meanwhile."""

_SETTLED_SECONDS = 1.0
"""What a process counts before is its start; a rate over less would be one of a moment."""

MOST_PROCESSES = int(PROCESSES.fixed or 0)
"""Rows that are read; a server has at most 65 processes, and a cluster of thirty such servers still fits."""


class Spread(msgspec.Struct, frozen=True):
    """Durations since a process's start: their sum in seconds, and how many by bucket."""

    total: float
    counts: dict[int, int]


class Report(msgspec.Struct, frozen=True):
    """What one process says. Names are `component.what`, or `component.what/part`; see `named`.

    `life` differs between two runs of the same process, `at` is the time by its clock, `up` the monotonic seconds
    since its start. `listed` are single things that people look at, such as its fullest rooms: nothing sums them up.
    """

    process: str
    role: str
    life: str
    at: float
    up: float
    counters: dict[str, float] = {}
    gauges: dict[str, float] = {}
    durations: dict[str, Spread] = {}
    listed: dict[str, list[dict[str, Any]]] = {}


class Progress(NamedTuple):
    """One process: what its counters and durations did in its last `seconds`; its gauges of now.

    `fresh` is false where the report is the one of the look before: rates hold on, durations have been counted.
    """

    report: Report
    seconds: float
    counters: dict[str, float]
    durations: dict[str, Histogram]
    fresh: bool = True


class Look(NamedTuple):
    """What is known of all processes at one moment."""

    at: float
    processes: tuple[Progress, ...]
    late: tuple[str, ...] = ()
    """Processes that have been silent for a while and are not known to have ended."""
    reports: tuple[Report, ...] = ()
    """All that are no older than they may be, also of processes without a difference yet."""

    def whole(self, name: str) -> None:
        """Raise `Unavailable` where sums over the processes that have a gauge `name` cannot be told."""
        if self.late:
            raise Unavailable(f"no report of {', '.join(self.late)} for {STALE_SECONDS:.0f} s")
        having = {report.process for report in self.reports if name in report.gauges}
        if not having:
            raise Unavailable(f"no process reports {name}")
        if missing := having - {one.report.process for one in self.processes}:
            raise Unavailable(f"one report more is needed of {', '.join(sorted(missing))}")

    def rate(self, name: str) -> float | None:
        """By how much a counter grows a second, over all processes that have it; None where none has."""
        rates = [one.counters[name] / one.seconds for one in self.processes if name in one.counters]
        return sum(rates) if rates else None

    def grown(self, name: str) -> float:
        """By how much a counter has grown since the last look, over all processes."""
        return sum(one.counters.get(name, 0.0) for one in self.processes if one.fresh)

    def gauges(self, name: str) -> list[float]:
        """A gauge of each process that has it."""
        return [report.gauges[name] for report in self.reports if name in report.gauges]

    def histogram(self, name: str) -> Histogram:
        """Durations since the last look, over all processes."""
        return Histogram.merged(one.durations[name] for one in self.processes if one.fresh and name in one.durations)

    def parts(self, name: str) -> list[str]:
        """The parts that counters, gauges or durations of a name have."""
        start = f"{name}/"
        found = {
            known.removeprefix(start)
            for report in self.reports
            for known in (*report.counters, *report.gauges, *report.durations)
            if known.startswith(start)
        }
        return sorted(found)


def named(name: str, part: str) -> str:
    """A name of a part, as reports write it."""
    return f"{name}/{part}"


def progress(earlier: Report | None, now: Report) -> Progress | None:
    """What a process did between two of its reports, or since its start where there is none before; pure.

    None where the later one is not later.
    """
    if earlier is None or earlier.life != now.life:
        if now.up < _SETTLED_SECONDS:
            return Progress(now, _SETTLED_SECONDS, dict.fromkeys(now.counters, 0.0), {})
        earlier = Report(now.process, now.role, now.life, now.at - now.up, 0.0)
    seconds = now.up - earlier.up
    if seconds <= 0:
        return None
    counters = {name: max(0.0, value - earlier.counters.get(name, 0.0)) for name, value in now.counters.items()}
    nothing = Spread(0.0, {})
    durations = {name: _since(earlier.durations.get(name, nothing), spread) for name, spread in now.durations.items()}
    return Progress(now, seconds, counters, durations)


def _since(earlier: Spread, now: Spread) -> Histogram:
    return Histogram(now.counts, now.total).since(Histogram(earlier.counts, earlier.total))


class Reports:
    """The reports in the directory: written by each process, read by whoever samples."""

    def __init__(
        self, directory: Database, monotonic: Callable[[], float] = time.monotonic, most: int = MOST_PROCESSES
    ) -> None:
        self._directory = directory
        self._most = most
        self._monotonic = monotonic
        self._known: dict[str, Report] = {}
        self._progress: dict[str, Progress] = {}
        self._seen: dict[str, int] = {}
        self._looks = 0
        self._looked_at = -math.inf
        self._since = math.inf

    async def write(self, report: Report) -> None:
        """Put a process's report in the place of its last one. Raises as every write does."""
        row = {"process": report.process, "role": report.role, "at": report.at}
        text = msgspec.json.encode(report).decode()

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["write_report"], {**row, "report": text})

        await self._directory.write(work)

    async def remove(self, process: str) -> None:
        """Say that a process has ended."""

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["remove_report"], {"process": process})

        await self._directory.write(work)

    async def standing(self, at: float) -> list[Report]:
        """The reports that are no older than they may be; nothing is written. Raises as every read does."""
        rows = await self._directory.read(QUERIES["read_reports"], {"limit": self._most})
        reports = (msgspec.json.decode(row["report"], type=Report) for row in rows)
        return [report for report in reports if abs(at - report.at) <= STALE_SECONDS]

    async def look(self, at: float) -> Look:
        """Read all reports and take the differences. Raises as every read does; one look at a time."""
        rows = await self._directory.read(QUERIES["read_reports"], {"limit": self._most + 1})
        PROCESSES.refused += max(0, len(rows) - self._most)
        reports = [msgspec.json.decode(row["report"], type=Report) for row in rows[: self._most]]
        found = self.compare(reports, at)
        if any(at - report.at > GONE_SECONDS for report in reports):
            await self._prune(at - GONE_SECONDS)
        return found

    def compare(self, reports: Sequence[Report], at: float) -> Look:
        """What the reports say, beside those of the look before."""
        self._looks += 1
        moment = self._monotonic()
        self._since, self._looked_at = moment - self._looked_at, moment
        if self._since > _BREAK_SECONDS:
            for memory in (self._known, self._seen, self._progress):
                memory.clear()
        now = [report for report in reports if abs(at - report.at) <= STALE_SECONDS]
        for report in now:
            self._note(report)
        late = [report.process for report in reports if STALE_SECONDS < at - report.at <= GONE_SECONDS]
        self._forget()
        present = {report.process for report in now}
        shown = tuple(one for name, one in self._progress.items() if name in present)
        return Look(at, shown, tuple(late), tuple(now))

    def _note(self, report: Report) -> None:
        known = self._known.get(report.process)
        self._seen[report.process] = self._looks
        if known is not None and (known.life, known.up) == (report.life, report.up):
            if (before := self._progress.get(report.process)) is not None:
                self._progress[report.process] = before._replace(fresh=False)
            return
        self._known[report.process] = report
        began = known is None or known.life != report.life
        # Of a process that was there before the last look, it is not known what was counted then.
        if began and (self._since > _BREAK_SECONDS or report.up > self._since + REPORT_SECONDS):
            self._progress.pop(report.process, None)
            return
        if (made := progress(known, report)) is not None:
            self._progress[report.process] = made

    def _forget(self) -> None:
        for name, looks in list(self._seen.items()):
            if self._looks - looks > _REMEMBERED_LOOKS:
                del self._seen[name], self._known[name]
                self._progress.pop(name, None)

    async def _prune(self, before: float) -> None:
        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["prune_reports"], {"before": before})

        await self._directory.write(work)


class Told(NamedTuple):
    """A component's part of a process's report."""

    counters: Mapping[str, float] = {}
    gauges: Mapping[str, float] = {}
    durations: Mapping[str, Spread] = {}
    listed: Mapping[str, list[dict[str, Any]]] = {}


Tell = Callable[[], Told]


def joined(parts: Iterable[Told]) -> Told:
    """All parts as one."""
    counters: dict[str, float] = {}
    gauges: dict[str, float] = {}
    durations: dict[str, Spread] = {}
    listed: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        counters.update(part.counters)
        gauges.update(part.gauges)
        durations.update(part.durations)
        listed.update(part.listed)
    return Told(counters, gauges, durations, listed)
