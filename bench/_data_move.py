"""A bucket of 13,000 rows goes to another shard under 8 writers and 4 readers, 20 times on each engine.

Lost, doubled and resurrected rows are counted against what was acknowledged. The pause is the longest time between two
acknowledged writes, as the writers see it, from the beginning of the move to its end. Beside it stand the mover's own
figure, from its fence until the target answers, and the longest wait of the same writers in a second without a move;
and, as others use the disk too, the longest time that it took to sync one page of a file of its own meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

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
PAUSE_MS, CALM_SECONDS, PROBE_SECONDS = 300, 1.0, 0.02


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
    disk_ms: float


class Disk:
    """Syncs a page of a file every few milliseconds, and knows how long that took."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "probe"
        self._syncs: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sync, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def longest(self, since: float) -> float:
        """The longest sync from a moment to now, in milliseconds."""
        return 1000 * max((ended - began for began, ended in self._syncs if ended >= since), default=0.0)

    def _sync(self) -> None:
        with self._file.open("wb") as file:
            while not self._stop.wait(PROBE_SECONDS):
                began = time.monotonic()
                file.seek(0)
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
                self._syncs.append((began, time.monotonic()))


async def measure(bars: Bars) -> None:
    """Both engines, one after the other."""
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            async with opened_shards(engine, Path(folder), shared_cluster()) as shards:
                with Disk(Path(folder)) as disk:
                    runs = [await one(shards, number, disk) for number in range(bars.size(RUNS))]
                findings = await verify(shards)
        show(bars, engine, runs, len(findings))


async def one(shards: Shards, number: int, disk: Disk) -> Run:
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
        disk_ms=disk.longest(began),
    )


def longest(use: Use, since: float, until: float) -> float:
    """The longest time between two acknowledged writes, in milliseconds."""
    moments = [since, *(moment for moment in use.acknowledged_at if since <= moment <= until)]
    return 1000 * max(after - before for before, after in itertools.pairwise(moments))


def show(bars: Bars, engine: str, runs: list[Run], findings: int) -> None:
    """The figures of one engine, and its bars."""
    print(
        f"  {engine}: rows, writes, seconds; longest wait of writers without and with a move, of the mover, of the disk"
    )
    for run in runs:
        figures = f"{run.rows:>8,} {run.writes:>8,} {run.seconds:>7.2f} s"
        print(
            f"    {figures} {run.calm_ms:>7.0f} ms {run.gap_ms:>7.0f} ms {run.pause_ms:>7.0f} ms {run.disk_ms:>7.0f} ms"
        )
    bars.most(f"{engine}: acknowledged rows lost in {len(runs)} moves", sum(run.lost for run in runs), 0)
    bars.most(f"{engine}: rows doubled or resurrected", sum(run.wrong for run in runs), 0)
    bars.most(f"{engine}: rows left at the source", sum(run.left for run in runs), 0)
    bars.most(f"{engine}: findings of verify", findings, 0)
    bars.median(f"{engine}: pause of the mover", [run.pause_ms for run in runs], "ms")
    bars.median(f"{engine}: longest wait of the writers without a move", [run.calm_ms for run in runs], "ms")
    gaps = [run.gap_ms for run in runs]
    bars.median(f"{engine}: longest wait of the writers with one", gaps, "ms")
    bars.most(f"{engine}: longest pause of writes in {len(runs)} moves", max(gaps), PAUSE_MS, "ms")
