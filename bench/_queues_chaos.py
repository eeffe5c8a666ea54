"""100,000 jobs while publishers, workers and NATS are killed at random 20 times; one publisher is a real `serve`.

People send the server 100,000 events over HTTP, each call again until it is answered, and it counts them in jobs of its
own. Each event must be counted once, each job's effect be in the database exactly once, each notification mailed at
least once under one Message-ID; a poisoned job is a dead letter after its attempts and runs once when it is replayed.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from bench._bars import Bars
from tests.chaos import Outcome, chaos
from tests.chaos_server import EVENTS
from tests.engines import ENGINES, opened_shards
from tests.postgres import shared_cluster

JOBS = 100_000
BATCH = 100
CALLS = 5_000
"""Of 20 events each."""
KILLS = 20
LIMIT_SECONDS = 1800.0


async def measure(bars: Bars) -> None:
    """On each engine."""
    for engine in ENGINES:
        jobs, calls = bars.size(JOBS, 1000), bars.size(CALLS, 100)
        with tempfile.TemporaryDirectory() as name:
            async with (
                opened_shards(engine, Path(name) / "data", shared_cluster()) as shards,
                chaos(shards, Path(name), jobs, BATCH, calls) as run,
            ):
                found = await run.run(bars.size(KILLS, 4), LIMIT_SECONDS, random.Random(engine))
        judge(bars, engine, found, jobs, calls)


def judge(bars: Bars, engine: str, found: Outcome, jobs: int, calls: int) -> None:
    """Print what was found beside what must hold."""
    kills = ", ".join(f"{count} {what}" for what, count in sorted(found.kills.items()))
    bars.show(f"{engine}: {jobs:,} jobs, killed: {kills}", found.seconds, "s")
    bars.most(f"{engine}: jobs without an effect", found.missing, 0)
    bars.most(f"{engine}: jobs with more than one", found.repeated, 0)
    bars.show(f"{engine}: the slowest start of the server", found.slowest_start, "s")
    bars.show(f"{engine}: calls that were sent again", found.calls_repeated)
    bars.least(f"{engine}: events counted, of {calls * EVENTS:,}", found.events, calls * EVENTS)
    bars.most(f"{engine}: events counted, of {calls * EVENTS:,}", found.events, calls * EVENTS)
    bars.most(f"{engine}: jobs left over", sum(found.left.values()), 0)
    bars.most(f"{engine}: notifications not mailed, of {found.message_ids:,}", found.mails_missing, 0)
    bars.show(f"{engine}: mails sent again under the same Message-ID", found.mails - found.message_ids)
    bars.most(f"{engine}: attempts of the poisoned job", found.poison_attempts, 4)
    bars.least(f"{engine}: effects of it, once replayed", found.poison_effects, 1)
    bars.most(f"{engine}: effects of it, once replayed", found.poison_effects, 1)
