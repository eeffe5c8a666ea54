"""`database`: the shards as callers have felt them, by shard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import DATABASE, Key, Sample
from atomic_guide.operations.scaling.reports import Spread, Told, named

if TYPE_CHECKING:
    from atomic_guide.engines.data.shard import Shard
    from atomic_guide.engines.data.shards import Shards, Whole
    from atomic_guide.engines.data.traffic import Traffic
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell

QUERIES = load_queries(__package__)

METRICS = (
    Metric(DATABASE, "query", "s", "Reads, on primary and replicas, as callers wait for them.", "shard", "durations"),
    Metric(DATABASE, "write", "s", "Writes until they are durable, as callers wait for them.", "shard", "durations"),
    Metric(
        DATABASE, "lock_wait", "share", "Time of writes that is waiting for the writer, a connection, a lock.", "shard"
    ),
    Metric(DATABASE, "write_share", "share", "Busy time that is writing; no data while nothing is asked.", "shard"),
    Metric(DATABASE, "lag", "s", "By how much the replica that is furthest behind is; no data without one.", "shard"),
    Metric(
        DATABASE, "replica_lag", "s", "For how long a replica has been behind; no data while it is away.", "replica"
    ),
    Metric(
        DATABASE,
        "utilisation",
        "share",
        "Busy connections by connections, or of the writer; the fuller kind.",
        "shard",
    ),
    Metric(DATABASE, "readers_busy", "share", "Busy connections that read, by those that there are.", "shard"),
    Metric(DATABASE, "writers_busy", "share", "Busy connections that write by those that there are.", "shard"),
)

_LOOK_SECONDS = 2.0
"""How long a server may take to say who waits for a lock; below the limit of a source."""


def database_telling(shards: Shards) -> Tell:
    """What a process tells of each shard."""

    def tell() -> Told:
        counters: dict[str, float] = {}
        gauges: dict[str, float] = {}
        durations: dict[str, Spread] = {}
        for whole in shards.all():
            shard, part = whole.shard, whole.name
            servers = _traffic(shard)
            readers, writers = [one.readers() for one in servers], servers[0].writers()
            counters[named("database.reading", part)] = sum(lanes.busy for lanes in readers)
            counters[named("database.writing", part)] = writers.busy
            counters[named("database.waited", part)] = writers.waited
            gauges[named("database.readers", part)] = float(sum(lanes.size for lanes in readers))
            gauges[named("database.writers", part)] = float(writers.size)
            if servers[0].one_writer:
                gauges[named("database.one_writer", part)] = 1.0
            reads = Histogram.merged(Histogram(one.reads.counts, one.reads.total) for one in servers)
            durations[named("database.query", part)] = Spread(reads.total, reads.counts)
            writes = servers[0].writes
            durations[named("database.write", part)] = Spread(writes.total, dict(writes.counts))
            if (lag := _lag(shard)) is not None:
                gauges[named("database.lag", part)] = lag
            gauges |= _lags(shard)
        return Told(counters, gauges, durations)

    return tell


class DatabaseSource:
    """Over all processes; whoever waits for a lock is asked of the servers themselves."""

    name = DATABASE
    metrics = METRICS

    def __init__(self, reports: Once[Look], shards: Shards) -> None:
        self._reports = reports
        self._shards = shards

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a process is silent."""
        look = await self._reports.at(at)
        shards = self._shards.all()
        locked = await asyncio.gather(*(_locked(shard) for shard in shards))
        samples: list[Sample] = []
        for shard, waiting in zip(shards, locked, strict=True):
            look.whole(named("database.readers", shard.name))
            samples += _measured(look, shard.name, waiting)
        for replica in look.parts("database.replica_lag"):
            lag = max(look.gauges(named("database.replica_lag", replica)))
            samples.append(Sample(Key(DATABASE, "replica_lag", replica), lag))
        return samples


def _measured(look: Look, part: str, locked: float | None) -> list[Sample]:
    reading, writing = (look.rate(named(f"database.{name}", part)) or 0.0 for name in ("reading", "writing"))
    spreads = {name: look.histogram(named(f"database.{name}", part)) for name in ("query", "write")}
    readers = sum(look.gauges(named("database.readers", part)))
    shared = bool(look.gauges(named("database.one_writer", part)))
    writers = 1.0 if shared else sum(look.gauges(named("database.writers", part)))
    busy = {"readers_busy": reading / readers, "writers_busy": writing / writers}
    found = {"utilisation": max(busy.values()), **busy}
    if reading + writing:
        found["write_share"] = writing / (reading + writing)
    seconds = spreads["write"].total
    waits = [] if locked is None else [locked]
    if seconds:
        waits.append(min(1.0, look.grown(named("database.waited", part)) / seconds))
    if waits:
        found["lock_wait"] = max(waits)
    if lags := look.gauges(named("database.lag", part)):
        found["lag"] = max(lags)
    samples = [Sample(Key(DATABASE, name, part), value) for name, value in found.items()]
    return samples + [Sample(Key(DATABASE, name, part), one.total, one.counts) for name, one in spreads.items()]


async def _locked(shard: Whole) -> float | None:
    """The share of a server's statements under way that wait for a lock; None where there are none, or no answer."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            row = await shard.shard.primary.one(QUERIES["count_lock_waits"])
    except Exception:  # noqa: BLE001 - the rest of what is known of the shard is worth telling
        return None
    return row["waiting"] / row["active"] if row is not None and row["active"] else None


def _traffic(shard: Shard) -> list[Traffic]:
    """Of the primary first, then of the replicas."""
    replicas = shard.replicas.replicas if shard.replicas is not None else []
    return [shard.primary.traffic, *(replica.engine.traffic for replica in replicas)]


def _lag(shard: Shard) -> float | None:
    lags = [report.lag_seconds for report in shard.replicas.reports()] if shard.replicas is not None else []
    return max((lag for lag in lags if lag is not None), default=None)


def _lags(shard: Shard) -> dict[str, float]:
    """Of each replica that answers."""
    replicas = shard.replicas.replicas if shard.replicas is not None else []
    lags = {replica.name: replica.lag_seconds for replica in replicas if not replica.failure}
    return {named("database.replica_lag", name): lag for name, lag in lags.items() if lag is not None}
