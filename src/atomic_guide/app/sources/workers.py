"""`workers`: the processes that run jobs, and how many slots the jobs need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from atomic_guide.app.sources.queues import WORKER, Backlog, queue_of
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import QUEUES, WORKERS, Key, Sample
from atomic_guide.operations.scaling.reports import Spread, Told, named
from atomic_guide.operations.scaling.work import Load, Means, slots_needed

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from atomic_guide.app.run_counts import RunCounts
    from atomic_guide.engines.queues.jobs import Queues
    from atomic_guide.engines.queues.settings import QueueSettings
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell
    from atomic_guide.operations.scaling.series import Series

METRICS = (
    Metric(WORKERS, "processes", "processes", "Processes that run jobs."),
    Metric(WORKERS, "demand", "slots", "Slots that keep up with arriving jobs and end the backlog within a minute."),
    Metric(WORKERS, "utilisation", "share", "Busy slots by slots; of a queue's own limit where that is fuller."),
    Metric(WORKERS, "work", "s/s", "Slots that jobs of a queue have kept busy.", "queue"),
)

PUBLISHER = "jobs.publisher"
"""The gauge that every process has which may publish jobs."""

_REMEMBERED_SECONDS = 7 * 86_400.0
"""How far back the record is asked how long the jobs of a queue take, where none has ended since this process began."""

_UNKNOWN_SECONDS = 1.0
"""What a job counts as before one of its queue has ever ended or run for longer: a mail takes 0.1, a short clip 3."""


def jobs_telling(queues: Queues, counts: RunCounts, slots: int | None) -> Tell:
    """What a process tells of the jobs that it publishes and, with `slots` of a worker, runs."""

    def tell() -> Told:
        counters = {named("jobs.published", " ".join(key)): float(jobs) for key, jobs in queues.published.items()}
        if slots is None:
            return Told(counters, {PUBLISHER: 1.0})
        gauges = {PUBLISHER: 1.0, WORKER: float(slots)}
        counters |= {named("workers.seconds", " ".join(key)): seconds for key, seconds in counts.seconds.items()}
        counters |= {named("workers.jobs", " ".join(key)): float(jobs) for key, jobs in counts.jobs.items()}
        running = {run.queue for run in counts.running.values()}
        for queue in {*counts.runs, *running}:
            counters[named("workers.busy", queue)] = counts.busy(queue)
            if (longest := counts.longest(queue)) is not None:
                gauges[named("workers.longest", queue)] = longest
        paused = [queue for queue, reason in counts.refused.items() if reason == "paused"]
        gauges |= {named("workers.paused", queue): 1.0 for queue in paused}
        runs = {
            named("workers.run", queue): Spread(runs.total, dict(runs.counts)) for queue, runs in counts.runs.items()
        }
        return Told(counters, gauges, runs)

    return tell


class WorkersSource:
    """Over all workers: demand from what is published and what waits, utilisation from what runs."""

    name = WORKERS
    metrics = METRICS

    def __init__(
        self, reports: Once[Look], backlog: Once[Mapping[str, Backlog]], settings: QueueSettings, series: Series
    ) -> None:
        self._reports = reports
        self._backlog = backlog
        self._settings = settings
        self._series = series
        self._means = Means()
        self._before: dict[str, float | None] = {}

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a shard or a process does not answer."""
        look = await self._reports.at(at)
        backlog = await self._backlog.at(at)
        self._learn(look)
        look.whole(PUBLISHER)
        loads = {queue: await self._load(look, queue, waits.jobs, at) for queue, waits in backlog.items()}
        samples = [Sample(Key(WORKERS, "demand"), slots_needed(list(loads.values()), self._settings.slots))]
        processes = len(look.gauges(WORKER))
        if not processes:
            return samples
        busy = {queue: look.rate(named("workers.busy", queue)) or 0.0 for queue in loads}
        shares = [busy[queue] / min(load.concurrency, self._settings.slots) for queue, load in loads.items()]
        fullest = max(*shares, sum(busy.values()) / self._settings.slots, 0.0) / processes
        samples += [Sample(Key(WORKERS, "processes"), float(processes)), Sample(Key(WORKERS, "utilisation"), fullest)]
        return samples + [Sample(Key(WORKERS, "work", queue), value) for queue, value in busy.items()]

    async def _load(self, look: Look, queue: str, waiting: int, at: float) -> Load:
        rules = self._settings.rules(queue) if queue in self._settings.queues else None
        mean = await self._mean(look, queue, at)
        arriving = 0.0
        for part in look.parts("jobs.published"):
            if queue_of(part) == queue:
                arriving += (look.rate(named("jobs.published", part)) or 0.0) * (self._means.of(part) or mean)
        most = rules.per_second * mean if rules is not None and rules.per_second else math.inf
        if look.gauges(named("workers.paused", queue)):
            most = 0.0
        return Load(arriving, waiting * mean, rules.concurrency if rules is not None else self._settings.slots, most)

    async def _mean(self, look: Look, queue: str, at: float) -> float:
        """Slot-seconds of a job of a queue: of those that ended, lately or by the record; else of those that run."""
        recent = self._means.of(*(name for name in self._means.names() if queue_of(str(name)) == queue))
        if recent is not None:
            return recent
        if queue not in self._before:
            runs = await self._series.histogram(Key(QUEUES, "run", queue), at - _REMEMBERED_SECONDS, at)
            self._before[queue] = runs.mean
        return self._before[queue] or max([_UNKNOWN_SECONDS, *look.gauges(named("workers.longest", queue))])

    def _learn(self, look: Look) -> None:
        grown: list[dict[Hashable, float]] = [
            {part: look.grown(named(name, part)) for part in look.parts(name)}
            for name in ("workers.seconds", "workers.jobs")
        ]
        self._means.note(look.at, *grown)
