"""Jobs as Prometheus sees them: how runs end and how long they take, what waits and since when, what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from atomic_guide.app.run_counts import RunCounts
from atomic_guide.clock import from_iso
from atomic_guide.engines.queues.handlers import Observer
from atomic_guide.engines.queues.overview import count_jobs

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.jobs import Job

_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
"""Seconds of a job: a sweep takes a tenth, a lecture of an hour about one on two cores."""

_WAITS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
"""Seconds until a job starts: dense around 0.05, which is what a wake-up is to take."""

_REFUSALS = ("paused", "memory", "held")


class JobMetrics(Observer):
    """The metrics of one process's worker and of all queues."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "atomic_guide_job_runs_total", "Runs of jobs by how they ended.", ("kind", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "atomic_guide_job_duration_seconds", "Run of a job.", ("kind",), buckets=_BUCKETS, registry=registry
        )
        self._waited = Histogram(
            "atomic_guide_job_start_latency_seconds",
            "From when a job could start until it did, by what gave it precedence.",
            ("queue", "precedence"),
            buckets=_WAITS,
            registry=registry,
        )
        self._claims = Counter(
            "atomic_guide_job_claims_total", "Claims that found jobs.", ("queue",), registry=registry
        )
        self._claimed = Counter("atomic_guide_jobs_claimed_total", "Jobs claimed.", ("queue",), registry=registry)
        self._refused = Gauge(
            "atomic_guide_queue_refused",
            "Why this process claims nothing of a queue (held: nothing that is not urgent); 1 where it is so.",
            ("queue", "reason"),
            registry=registry,
        )
        self._jobs = Gauge("atomic_guide_jobs", "Jobs in the database.", ("queue", "state"), registry=registry)
        self._wait = Gauge(
            "atomic_guide_job_oldest_wait_seconds", "Age of the oldest queued job.", ("queue",), registry=registry
        )
        self._missing = Gauge(
            "atomic_guide_jobs_shards_missing",
            "Shards that did not tell of their jobs; the counts are older while there are any.",
            registry=registry,
        )
        # Finding a child by its labels costs more than counting; there are a few dozen.
        self._ends: dict[tuple[str, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self._starts: dict[tuple[str, str], Histogram] = {}
        self.counts = RunCounts()

    def claimed(self, queue: str, jobs: int) -> None:
        """So many jobs of a queue were claimed at once."""
        self._claims.labels(queue).inc()
        self._claimed.labels(queue).inc(jobs)

    def started(self, job: Job, waited: float) -> None:
        """A job starts."""
        self.counts.started(job)
        key = (job.queue, job.precedence)
        child = self._starts.get(key)
        if child is None:
            child = self._starts[key] = self._waited.labels(*key)
        child.observe(waited)

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        """One run of a job has ended."""
        self.counts.ended(job, outcome, seconds)
        key = (job.kind, outcome)
        count = self._ends.get(key)
        if count is None:
            count = self._ends[key] = self._runs.labels(*key)
            self._durations[job.kind] = self._seconds.labels(job.kind)
        count.inc()
        self._durations[job.kind].observe(seconds)

    def refused(self, queue: str, reason: str) -> None:
        """Nothing of a queue is claimed, for a reason; or everything again."""
        self.counts.refused[queue] = reason
        for name in _REFUSALS:
            self._refused.labels(queue, name).set(name == reason)

    async def look(self, shards: Shards, clock: Clock) -> None:
        """Count the jobs of all shards; for a root task."""
        found = await count_jobs(shards, ended=False)
        self._missing.set(len(found.missing))
        if found.missing:
            # A part would look like queues that empty; the last whole count stays.
            return
        self._jobs.clear()
        self._wait.clear()
        for row in found.jobs:
            self._jobs.labels(row["queue"], row["state"]).set(row["jobs"])
            if row["state"] == "queued":
                self._wait.labels(row["queue"]).set(max(0.0, clock.now() - from_iso(row["oldest"])))
