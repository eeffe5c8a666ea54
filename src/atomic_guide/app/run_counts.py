"""What the jobs of a process took, as scaling reads it: plain counters by queue and kind."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.durations import Durations
from atomic_guide.operations.costs.tally import Tally

if TYPE_CHECKING:
    from atomic_guide.engines.queues.jobs import Job

_ENDED = {"done", "dead"}
"""Outcomes after which a job does not come again; also one that is retried has taken its time."""


class Running(NamedTuple):
    """A run under way; `began` is monotonic."""

    queue: str
    kind: str
    began: float


class RunCounts:
    """Counters since the process's start; `running` is by the job's fence, which no other run has."""

    def __init__(self) -> None:
        self.running: dict[tuple[str, int], Running] = {}
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        """Of runs that have ended, however, by queue and kind."""
        self.jobs: Counter[tuple[str, str]] = Counter()
        """That will not come again, by queue and kind."""
        self.runs: defaultdict[str, Durations] = defaultdict(Durations)
        """How long runs took that were not handed back, by queue."""
        self.tenants = Tally()
        """Seconds by tenant."""
        self.refused: dict[str, str] = {}
        """Why nothing of a queue is claimed; empty where it is."""

    def started(self, job: Job) -> None:
        """A job starts."""
        self.running[job.id, job.token] = Running(job.queue, job.kind, time.monotonic())

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        """A run has ended, or a claimed job was given back without one."""
        self.running.pop((job.id, job.token), None)
        key = (job.queue, job.kind)
        self.seconds[key] += seconds
        self.tenants.add(job.key.tenant, seconds)
        self.jobs[key] += outcome in _ENDED
        if outcome != "returned":
            self.runs[job.queue].add(seconds)

    def busy(self, queue: str) -> float:
        """Seconds that slots were taken by jobs of a queue, those of runs under way included."""
        now = time.monotonic()
        ended = sum(seconds for (name, _), seconds in self.seconds.items() if name == queue)
        return ended + sum(now - run.began for run in self.running.values() if run.queue == queue)

    def longest(self, queue: str) -> float | None:
        """For how long the oldest run of a queue has been under way; None where none is."""
        now = time.monotonic()
        return max((now - run.began for run in self.running.values() if run.queue == queue), default=None)
