"""What a claim costs beside a million ended and delayed jobs, and how fast jobs are published.

The cost is the CPU time of the two statements of a claim, the one that looks and the one that takes: of the server's
process on PostgreSQL, of the writing thread on SQLite. Databases with few and with many other jobs take turns.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.claim import bounds_of, claim
from atomic_guide.engines.queues.ending import end_jobs
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import QUERIES, Job, Queues
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from bench._bars import Bars
from bench.data import show_durability
from tests.engines import DIRECTORY, SHARD
from tests.postgres import Cluster, fresh_cluster, fresh_database

ENGINES = ("PostgreSQL", "SQLite")
FEW, MANY = 1_000, 1_000_000
TAKEN = 100
"""Jobs of one claim, out of three times as many."""
ROUNDS = 40
CLAIM_RATIO = 1.5

BATCH = 1_000
PUBLISHERS = 8
PUBLISHED = 120_000
LEAST_PUBLISHED = 30_000

COPIED = 20_000
"""Rows stored in one transaction where the others are laid out, within the time limit of a statement."""

OWNER = "bench"
LEASE_SECONDS = 600.0
DAY = 86_400.0

OWN = parse_queries(
    """
-- name: backend
-- purpose: The process of the server that serves this transaction.
-- dialect: postgresql
SELECT pg_backend_pid() AS pid
-- name: analyze
-- purpose: Fresh statistics, as autovacuum makes them after so many rows.
ANALYZE
""",
    "bench",
)


class Settings(QueueSettings, frozen=True):
    """As installed, with a queue for the benchmark."""

    bench: QueueRules = QueueRules()


class Line:
    """A queue on one shard, worked on without a worker."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.clock = SystemClock()
        self.queues = Queues(shards, self.clock, Settings())
        (self.whole,) = shards.all()

    async def publish(self, count: int, course: str = "course") -> None:
        """One transaction."""
        key = CourseKey.of("bench", course)
        jobs = [NewJob(queue="bench", kind="noop", subject=f"n{number}") for number in range(count)]

        async def work(tx: Transaction) -> None:
            await self.queues.publish_many(tx, key, jobs)

        await self.shards.of(key).write(work)

    async def take(self, limit: int) -> list[Job]:
        """A claim, as a worker makes it."""
        now = self.clock.now()
        return [lease.job for lease in await claim(self.shards, "bench", OWNER, limit, (now, now + LEASE_SECONDS))]

    async def end(self, jobs: Sequence[Job]) -> None:
        """Record that they are done."""

        async def work(tx: Transaction) -> set[str]:
            return await end_jobs(tx, jobs, OWNER, self.clock.now())

        for courses in self.shards.grouped(sorted({job.key for job in jobs})):
            assert len(await courses.write(work)) == len(jobs)

    async def surround(self, others: int) -> None:
        """Store ended and delayed jobs, half of each."""
        key, now = CourseKey.of("bench", "others"), self.clock.now()
        place = tuple(key.columns.values())

        for start in range(0, others // 2, COPIED):
            numbers = range(start, min(start + COPIED, others // 2))
            ended = [(*place, f"s{n:07}", f"e{n:07}", "bench", "noop", "done", 1, now, now) for n in numbers]
            delayed = [(*place, f"d{n:07}", *_delayed(n, now)) for n in numbers]

            async def work(tx: Transaction, ended: Any = ended, delayed: Any = delayed) -> None:
                await tx.copy_rows("ended_jobs", ENDED, ended)
                await tx.copy_rows("jobs", ("bucket", "tenant", "course", "id", *DELAYED), delayed)

            await self.whole.write(work)

        async def analyze(tx: Transaction) -> None:
            await tx.execute(OWN["analyze"])

        await self.whole.write(analyze)

    async def cost(self) -> float:
        """CPU milliseconds of one claim, among three times the jobs."""
        await self.publish(3 * TAKEN)
        now = self.clock.now()
        params = {
            "queue": "bench",
            "now": now,
            "limit": TAKEN,
            "owner": OWNER,
            "lease_until": now + LEASE_SECONDS,
            **bounds_of(None),
        }

        async def work(tx: Transaction) -> tuple[float, list[Any]]:
            serving = (await tx.read(OWN["backend"]))[0]["pid"] if tx.dialect == "postgresql" else None
            before = _cpu(serving)
            await tx.read(QUERIES["peek_jobs"], params)
            rows = await tx.read(QUERIES["claim_jobs"], params)
            return (_cpu(serving) - before) * 1000, rows

        spent, rows = await self.whole.write(work)
        assert len(rows) == TAKEN
        await self.end([Job.of(row) for row in rows])
        await self.end(await self.take(2 * TAKEN))
        return spent


ENDED = (
    *("bucket", "tenant", "course", "subject", "id", "queue", "kind", "state", "attempts", "created_at"),
    "ended_at",
)
DELAYED = (
    *("queue", "kind", "subject", "payload", "state", "priority", "attempts", "max_attempts", "run_after", "rank"),
    *("lease_until", "lease_owner", "token", "progress", "created_at"),
)


def _delayed(number: int, now: float) -> tuple[Any, ...]:
    due = now + DAY + number
    return ("bench", "noop", f"s{number}", "{}", "delayed", 0.0, 0, 4, due, due, 0.0, "", 0, 0.0, now)


def _cpu(process: int | None) -> float:
    """CPU seconds of a process, in nanoseconds' resolution; without one, of this thread."""
    if process is None:
        return time.thread_time()
    return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


@asynccontextmanager
async def opened(engine: str, cluster: Cluster) -> AsyncIterator[Line]:
    """A fresh shard of an engine."""
    if engine == "SQLite":
        with tempfile.TemporaryDirectory() as name:
            shards = await open_embedded(Path(name), DataSettings(shards=1))
            yield Line(shards)
            await shards.close()
        return
    server = cluster.shards[0]
    async with fresh_database(server, DIRECTORY) as directory, fresh_database(server, SHARD) as jobs:
        servers = (ShardSettings(name="shard-0", url=jobs),)
        shards = await open_servers(DataSettings(directory=directory, servers=servers))
        yield Line(shards)
        await shards.close()


async def measure(bars: Bars) -> None:
    """The cost of a claim and the rate of publishing, on both engines."""
    with fresh_cluster(((),), settings={"autovacuum_naptime": "5s"}) as cluster:
        show_durability(cluster.shards[0].primary)
        for engine in ENGINES:
            await claim_cost(bars, engine, cluster)
            await publishing(bars, engine, cluster)


async def claim_cost(bars: Bars, engine: str, cluster: Cluster) -> None:
    """The same claim among few and among many other jobs."""
    many = bars.size(MANY, FEW)
    async with opened(engine, cluster) as little, opened(engine, cluster) as much:
        await little.surround(FEW)
        await much.surround(many)
        rounds: list[tuple[float, float]] = []
        for number in range(ROUNDS):
            pair = (await little.cost(), await much.cost())
            # The first ones read what is not in memory yet, and have the statements prepared.
            rounds += [pair] if number >= ROUNDS // 8 else []
        few = bars.median(f"{engine}: a claim of {TAKEN} among {FEW:,} others", [each[0] for each in rounds], "ms CPU")
        most = bars.median(f"{engine}: among {many:,}", [each[1] for each in rounds], "ms CPU")
        bars.most(f"{engine}: the claim's cost grows by", most / few, CLAIM_RATIO, "times")


async def publishing(bars: Bars, engine: str, cluster: Cluster) -> None:
    """Jobs a second from some publishers, each batch one durable transaction of its course."""
    count = bars.size(PUBLISHED, 10 * BATCH)
    rates = []
    async with opened(engine, cluster) as line:
        for number in range(3):
            starts = iter(range(0, count // 3, BATCH))

            async def send(starts: Any = starts, number: int = number) -> None:
                for start in starts:
                    await line.publish(BATCH, f"course-{number}-{start}")

            began = time.perf_counter()
            await asyncio.gather(*(send() for _ in range(PUBLISHERS)))
            rates.append(len(range(0, count // 3, BATCH)) * BATCH / (time.perf_counter() - began))
    bars.least(f"{engine}: published", statistics.median(rates), LEAST_PUBLISHED, "jobs/s")
