"""A million jobs published, claimed, ended and pruned: what the tables weigh meanwhile and in the end.

One batch after the other, so that nothing is left over when the next one comes. On PostgreSQL autovacuum looks every
five seconds, as docs/queues.md asks for, and whoever ends jobs looks after the dead rows, as a worker does.
"""

from __future__ import annotations

import time

from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.queues.ending import tidy
from atomic_guide.engines.queues.vacuums import Vacuums
from bench._bars import Bars
from bench._queues_claim import BATCH, ENGINES, opened
from bench.data import show_durability
from tests.postgres import Cluster, fresh_cluster

THROUGH = 1_000_000
KEPT_SECONDS = 5.0
TIDY_EVERY = 50
"""Batches between two rounds of pruning; what ended over `KEPT_SECONDS` before is forgotten."""
MOST_MEGABYTES = 64.0
"""For the live jobs with their indexes: a few seconds of the churn that autovacuum has not come to yet."""

OWN = parse_queries(
    """
-- name: sizes
-- purpose: Bytes of both tables with their indexes, and dead rows that no vacuum has come to yet.
-- dialect: postgresql
SELECT pg_total_relation_size('jobs') AS live, pg_total_relation_size('ended_jobs') AS archive,
       pg_relation_size('jobs') AS rows, pg_indexes_size('jobs') AS indexes,
       (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs') AS dead
-- name: sizes
-- dialect: sqlite
SELECT (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size()) AS live,
       0 AS archive, (SELECT freelist_count FROM pragma_freelist_count()) AS dead
""",
    "bench",
)


async def measure(bars: Bars) -> None:
    """On both engines."""
    with fresh_cluster(((),), settings={"autovacuum_naptime": "5s"}) as cluster:
        show_durability(cluster.shards[0].primary)
        for engine in ENGINES:
            await running_through(bars, engine, cluster)


async def running_through(bars: Bars, engine: str, cluster: Cluster) -> None:
    """Publish, claim, end and prune, batch by batch; what the tables have become at their largest and in the end."""
    batches = bars.size(THROUGH // BATCH)
    sizes = []
    async with opened(engine, cluster) as line:
        vacuums, shard = Vacuums(line.shards), line.whole.shard.name
        began = time.perf_counter()
        for number in range(batches):
            await line.publish(BATCH, f"course-{number % 64}")
            await line.end(await line.take(BATCH))
            vacuums.ended(shard, BATCH)
            if number % TIDY_EVERY == TIDY_EVERY - 1 or number == batches - 1:
                now = line.clock.now()
                await tidy(line.shards, now, now - KEPT_SECONDS)
                sizes.append((await line.whole.read(OWN["sizes"]))[0])
        seconds = time.perf_counter() - began
        await vacuums.close()
    name = f"{engine}: {batches * BATCH:,} jobs"
    bars.show(f"{name} published, claimed, ended, pruned", batches * BATCH / seconds, "jobs/s")
    label = "live jobs with their indexes" if engine == "PostgreSQL" else "the whole file"
    bars.most(f"{name}: {label} at most", max(row["live"] for row in sizes) / 1e6, MOST_MEGABYTES, "MB")
    if engine == "PostgreSQL":
        bars.show(f"{name}: archive of {KEPT_SECONDS:g} s at most", max(row["archive"] for row in sizes) / 1e6, "MB")
        for part in ("rows", "indexes"):
            bars.show(f"{name}: {part} of live jobs in the end", sizes[-1][part] / 1e6, "MB")
        bars.show(f"{name}: dead rows in the end", sizes[-1]["dead"])
    else:
        bars.show(f"{name}: the whole file in the end", sizes[-1]["live"] / 1e6, "MB")
        bars.show(f"{name}: free pages in it", sizes[-1]["dead"])
