"""A bucket of 13,000 rows goes to another shard under 8 writers and 4 readers, 20 times on each engine.

Lost, doubled and resurrected rows are counted against what was acknowledged. The pause is the longest time between two
acknowledged writes, as the writers see it, from the beginning of the move to its end. Beside it stand the mover's own
figure, from its fence until the target answers, and the longest wait of the same writers in a second without a move.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from atomic_guide.engines.data.moves import Mover, Scope, verify
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from tests.engines import ENGINES, opened_shards
from tests.moving import Use, fill, other, rows_on, seqs
from tests.postgres import shared_cluster

RUNS, MESSAGES, WRITERS, READERS = 20, 6_500, 8, 4
"""Messages, and as many scores: 13,000 rows."""
PAUSE_MS, CALM_SECONDS = 300, 1.0


class Run(NamedTuple):
    """What one move did."""

    rows: int
    writes: int
    lost: int
    wrong: int
    left: int
    seconds: float
    calm_ms: float
    gap_ms: float
    pause_ms: float


async def measure(bars: Bars) -> None:
    """Both engines, one after the other."""
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            async with opened_shards(engine, Path(folder), shared_cluster()) as shards:
                runs = [await one(shards, number) for number in range(bars.size(RUNS))]
                findings = await verify(shards)
        show(bars, engine, runs, len(findings))


async def one(shards: Shards, number: int) -> Run:
    """Fill a course, move its bucket while it is used, compare."""
    key = CourseKey.of("bench", f"course-{number}")
    await fill(shards, key, MESSAGES)
    source, target = shards.place(key).shard, other(shards, key)
    mover = Mover(shards, "bench")
    move = await mover.start(Scope(DEFAULT_ZONE, key.bucket), target)
    use = Use(key)
    async with use.going_on([shards], writers=WRITERS, readers=READERS):
        calm = time.monotonic()
        await asyncio.sleep(CALM_SECONDS)
        began = time.monotonic()
        ended = await mover.carry_out(move.id)
        seconds = time.monotonic() - began
        await use.more_than(use.written)
    assert ended.state == "done", ended.error
    found, expected = await seqs(shards, key), {*range(1, MESSAGES + 1), *use.kept}
    return Run(
        rows=ended.rows,
        writes=use.written,
        lost=len(expected - set(found)),
        wrong=len(found) - len(expected & set(found)),
        left=await rows_on(source.primary, key.bucket),
        seconds=seconds,
        calm_ms=longest(use, calm, began),
        gap_ms=longest(use, began, math.inf),
        pause_ms=ended.pause_ms,
    )


def longest(use: Use, since: float, until: float) -> float:
    """The longest time between two acknowledged writes, in milliseconds."""
    moments = [since, *(moment for moment in use.acknowledged_at if since <= moment <= until)]
    return 1000 * max(after - before for before, after in itertools.pairwise(moments))


def show(bars: Bars, engine: str, runs: list[Run], findings: int) -> None:
    """The figures of one engine, and its bars."""
    print(f"  {engine}: rows, writes, seconds, longest wait of the writers without and with a move, pause of the mover")
    for run in runs:
        figures = f"{run.rows:>8,} {run.writes:>8,} {run.seconds:>7.2f} s"
        print(f"    {figures} {run.calm_ms:>7.0f} ms {run.gap_ms:>7.0f} ms {run.pause_ms:>7.0f} ms")
    bars.most(f"{engine}: acknowledged rows lost in {len(runs)} moves", sum(run.lost for run in runs), 0)
    bars.most(f"{engine}: rows doubled or resurrected", sum(run.wrong for run in runs), 0)
    bars.most(f"{engine}: rows left at the source", sum(run.left for run in runs), 0)
    bars.most(f"{engine}: findings of verify", findings, 0)
    bars.median(f"{engine}: pause of the mover", [run.pause_ms for run in runs], "ms")
    bars.median(f"{engine}: longest wait of the writers without a move", [run.calm_ms for run in runs], "ms")
    gaps = [run.gap_ms for run in runs]
    bars.median(f"{engine}: longest wait of the writers with one", gaps, "ms")
    bars.most(f"{engine}: longest pause of writes in {len(runs)} moves", max(gaps), PAUSE_MS, "ms")
