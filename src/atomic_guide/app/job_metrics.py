"""Jobs as Prometheus sees them: how runs end and how long they take, what waits and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from atomic_guide.clock import from_iso
from atomic_guide.engines.queues.overview import count_jobs

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.shards import Shards

_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
"""Seconds of a job: a sweep takes a tenth, a lecture of an hour about one on two cores."""


class JobMetrics:
    """The metrics of one process's workers and of all queues."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "atomic_guide_job_runs_total", "Runs of jobs by how they ended.", ("kind", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "atomic_guide_job_duration_seconds", "Run of a job.", ("kind",), buckets=_BUCKETS, registry=registry
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

    def observe(self, kind: str, outcome: str, seconds: float) -> None:
        """One run of a job has ended; a worker's `Observe`."""
        self._runs.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

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
