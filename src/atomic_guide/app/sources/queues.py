"""`queues`: the jobs that wait and those that end, by queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.clock import from_iso
from atomic_guide.engines.queues.overview import count_jobs
from atomic_guide.errors import Unavailable
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import QUEUES, Key, Sample
from atomic_guide.operations.scaling.reports import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look

METRICS = (
    Metric(QUEUES, "backlog", "jobs", "Jobs that could start now.", "queue"),
    Metric(QUEUES, "oldest", "s", "Since when the oldest of them was published; 0 where none waits.", "queue"),
    Metric(
        QUEUES, "dead_letters", "jobs", "Jobs that failed for good, and were neither replayed nor dropped.", "queue"
    ),
    Metric(QUEUES, "throughput", "jobs/s", "Jobs that ended for good: done, or dead letters.", "queue"),
    Metric(QUEUES, "run", "s", "Runs of jobs, those that failed included.", "queue", kind="durations"),
)

WORKER = "workers.slots"
"""The gauge that a process with a worker has."""


class Backlog(NamedTuple):
    """Jobs of a queue that could start now, the age of the oldest, and how many dead letters it has."""

    jobs: int
    oldest: float
    dead: int = 0


async def read_backlog(shards: Shards, queues: list[str], at: float) -> dict[str, Backlog]:
    """What waits in each queue, over all shards. Raises `Unavailable` where one does not say: a part is no answer."""
    found = await count_jobs(shards, ended=False)
    if found.missing:
        reasons = "; ".join(f"{shard}: {why}" for shard, why in sorted(found.missing.items()))
        raise Unavailable(f"jobs are not counted without every shard ({reasons})")
    waiting = {row["queue"]: row for row in found.jobs if row["state"] == "queued"}
    dead = {row["queue"]: row["jobs"] for row in found.jobs if row["state"] == "dead"}
    return {
        queue: Backlog(waiting[queue]["jobs"], max(0.0, at - from_iso(waiting[queue]["oldest"])), dead.get(queue, 0))
        if queue in waiting
        else Backlog(0, 0.0, dead.get(queue, 0))
        for queue in {*queues, *waiting, *dead}
    }


def ended(look: Look, queue: str) -> float | None:
    """Jobs of a queue that ended in a second; None where no worker says."""
    rates = [look.rate(named("workers.jobs", part)) for part in look.parts("workers.jobs") if queue_of(part) == queue]
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def queue_of(part: str) -> str:
    """The queue of a part that names queue and kind."""
    return part.partition(" ")[0]


class QueuesSource:
    """Backlogs from the database, ends from what workers tell."""

    name = QUEUES
    metrics = METRICS

    def __init__(self, reports: Once[Look], backlog: Once[Mapping[str, Backlog]]) -> None:
        self._reports = reports
        self._backlog = backlog

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a shard or a worker does not answer."""
        samples: list[Sample] = []
        for queue, backlog in sorted((await self._backlog.at(at)).items()):
            samples.append(Sample(Key(QUEUES, "backlog", queue), float(backlog.jobs)))
            samples.append(Sample(Key(QUEUES, "oldest", queue), backlog.oldest))
            samples.append(Sample(Key(QUEUES, "dead_letters", queue), float(backlog.dead)))
        look = await self._reports.at(at)
        if look.late or not look.gauges(WORKER):
            return samples
        for queue in sorted({sample.key.part for sample in samples}):
            runs = look.histogram(named("workers.run", queue))
            samples.append(Sample(Key(QUEUES, "throughput", queue), ended(look, queue) or 0.0))
            samples.append(Sample(Key(QUEUES, "run", queue), runs.total, runs.counts))
        return samples
