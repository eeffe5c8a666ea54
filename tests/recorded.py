"""A record as a server leaves it after some weeks: a course's week in quarters of an hour, written at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.operations.capacity.spread import Series as Values
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.series import Series, _put, _Slot

SLOT = 900
DAY = 86400


def week(times: Values, peak: float, *, noise: float = 0.05, seed: int = 1) -> Values:
    """Demand over working days with its peak at noon, a fifth of it at weekends and a tenth at night."""
    draw = np.random.default_rng(seed)
    hours, days = times % DAY / 3600, (times // DAY + 3) % 7
    shape = 0.1 + 0.9 * np.exp(-(((hours - 12) / 3.5) ** 2))
    level = np.where(days < 5, 1.0, 0.2) * np.exp(noise * draw.standard_normal(len(times)))
    values: Values = peak * shape * level
    return values


def usual(times: Values) -> dict[Key, Values]:
    """Series of a server with four web processes and two workers, whose peak takes half of what they bear."""
    flat = np.ones(len(times))
    days = (times - times[0]) / DAY
    return {
        Key("web", "demand"): week(times, 1.6),
        Key("web", "throughput"): week(times, 160.0, seed=2),
        Key("web", "processes"): 4 * flat,
        Key("workers", "work", "media"): week(times, 3.0, noise=0.2, seed=3),
        Key("workers", "processes"): 2 * flat,
        Key("web", "in_flight"): week(times, 4.0, seed=2),
        Key("web", "memory"): 6e8 + 6000.0 * week(times, 1200.0, seed=7),
        Key("rooms", "sockets"): week(times, 1200.0, seed=7),
        Key("rooms", "largest_room"): week(times, 700.0, seed=4),
        Key("database", "utilisation", "shard-0"): week(times, 0.35, seed=5),
        Key("database", "writers_busy", "shard-0"): week(times, 0.35, seed=5),
        Key("database", "readers_busy", "shard-0"): week(times, 0.12, seed=6),
        Key("costs", "units", "web"): 2.5 * flat,
        Key("costs", "stored"): 2e9 + 5e7 * days,
        Key("costs", "database_bytes"): 3e8 + 2e6 * days,
    }


async def write_record(directory: Database, at: float, days: float, made: Mapping[Key, Values] | None = None) -> None:
    """Write series up to a moment; those of `usual` where none are given, and runs of jobs of 20 s in the mean."""
    times = slots(at, days)
    values = made if made is not None else usual(times)
    series = Series(directory)
    runs = Key("queues", "run", "media")
    await series._number({*values, runs})
    rows = {}
    for key, column in values.items():
        number = series._ids[key]
        for moment, value in zip(times.tolist(), column.tolist(), strict=True):
            if not np.isnan(value):
                rows[number, moment] = _Slot(60, 60 * value, 0.8 * value, 1.1 * value, None)
    spread = Histogram()
    for seconds in (5.0, 10.0, 15.0, 20.0, 50.0):
        spread.add(seconds)
    rows[series._ids[runs], float(times[-1])] = _Slot(spread.count, spread.total, 5.0, 50.0, spread.counts)

    async def work(tx: Transaction) -> None:
        await _put(tx, SLOT, rows)

    await directory.write(work)


def slots(at: float, days: float) -> Values:
    """Begins of quarters of an hour up to a moment."""
    last = at // SLOT * SLOT
    times: Values = last - np.arange(int(days * DAY / SLOT), 0, -1, dtype=np.float64) * SLOT
    return times


async def record_into(folder: Path, at: float, days: float, made: Mapping[Key, Values] | None = None) -> None:
    """The same into a data directory."""
    shards = await open_embedded(folder)
    try:
        await write_record(shards.directory, at, days, made)
    finally:
        await shards.close()
