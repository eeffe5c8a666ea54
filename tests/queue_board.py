"""Queues without workers: a test publishes, claims and ends jobs itself, by a clock that it moves."""

from collections.abc import Sequence
from typing import Any

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.claim import claim
from atomic_guide.engines.queues.ending import Return, bury_job, end_jobs, return_jobs
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.overview import count_jobs
from atomic_guide.engines.queues.priority import Facts, PrioritySettings
from atomic_guide.engines.queues.settings import QueueRules
from tests.queueing import declaring

AGEING = 1000.0
SPACING = 10.0
SETTINGS = declaring(
    q=QueueRules(spacing_seconds=SPACING), other=QueueRules(), priority=PrioritySettings(ageing_seconds=AGEING)
)
LIVE = Facts(live=True, instructor=True, duration=60.0)
NONE = Facts()
COURSES = [CourseKey.of(f"tenant-{number}", "course") for number in range(8)]


class Board:
    """Queues without workers: a test claims and ends jobs itself."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.clock = ManualClock()
        self.queues = Queues(shards, self.clock, SETTINGS)

    async def publish(self, key: CourseKey, *jobs: NewJob) -> list[str | None]:
        async def work(tx: Transaction) -> list[str | None]:
            return await self.queues.publish_many(tx, key, jobs)

        return await self.shards.of(key).write(work)

    async def claim(self, limit: int = 1, queue: str = "q") -> list[Job]:
        now = self.clock.now()
        return [lease.job for lease in await claim(self.shards, queue, "w", limit, (now, now + 30))]

    async def end(self, *jobs: Job, owner: str = "w") -> set[str]:
        ended: set[str] = set()
        for courses in self.shards.grouped([job.key for job in jobs]):
            here = [job for job in jobs if job.key in courses.keys]

            async def work(tx: Transaction, here: Sequence[Job] = here) -> set[str]:
                return await end_jobs(tx, here, owner, self.clock.now())

            ended |= await courses.write(work)
        return ended

    async def give_back(self, job: Job, wait: float) -> set[str]:
        async def work(tx: Transaction) -> set[str]:
            now = self.clock.now()
            return await return_jobs(tx, [Return(job, now + wait, "not now")], "w", now)

        return await self.shards.of(job.key).write(work)

    async def bury(self, job: Job) -> bool:
        async def work(tx: Transaction) -> bool:
            return await bury_job(tx, job, "w", "no", self.clock.now())

        return await self.shards.of(job.key).write(work)

    async def cancel(self, key: CourseKey, subject: str) -> int:
        async def work(tx: Transaction) -> int:
            return await self.queues.cancel(tx, key, subject)

        return await self.shards.of(key).write(work)

    async def counts(self) -> dict[str, int]:
        found = await count_jobs(self.shards)
        return {row["state"]: row["jobs"] for row in found.jobs}


def job(subject: str = "s", facts: Facts = NONE, **values: Any) -> NewJob:
    return NewJob(queue=values.pop("queue", "q"), kind="k", subject=subject, facts=facts, **values)
