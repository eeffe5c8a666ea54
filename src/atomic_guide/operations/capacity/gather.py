"""The components of a server, from what it has recorded, what runs, and what was load-tested.

Each function knows one component and returns None, or the reason, where too little of it was measured: what is missing
is told by name and never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

import numpy as np

from atomic_guide.durations import seconds_of
from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity import erlang, operational
from atomic_guide.operations.capacity.component import Component, Kind, Table, Today, What
from atomic_guide.operations.capacity.kept import memory, storage
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.capacity.sight import TOO_LITTLE, Fleet, Lacking, Part, Sight, loaded
from atomic_guide.operations.capacity.spread import Spread
from atomic_guide.operations.capacity.usl import Fit, fit
from atomic_guide.operations.scaling.model import DATABASE, ROOMS, WEB, WORKERS, Key

CORE = Spread.between(0.7, 0.8, 0.9)
"""Cores that a web process takes before answers queue: its loop is one thread (0.8 in app/scaling.py, too)."""

_TABLE_PLACES = 60
_TABLE_REACH = 200.0
"""How many times the peak of now the table of slots goes; beyond, ratios hold."""

_FULL = 0.9
"""Where workers were so full at a peak, some of what was asked for is not in what ran."""

_SHARE_OFF = 0.15
"""How far off a tolerable share of a database may be: where calls vary more than M/M/1 has it, less is."""


async def gather(sight: Sight) -> Today:
    """Every component that can be told of, and why the others cannot."""
    found: list[Component] = []
    missing: dict[str, str] = {}
    shards = await sight.record.parts(DATABASE, "utilisation")
    asked: list[tuple[str, Awaitable[Part | list[Part]]]] = [
        ("web", _web(sight)), ("web requests", _tested(sight)), ("workers", _workers(sight)), ("rooms", _rooms(sight)),
        *((f"database {shard}", _shard(sight, shard)) for shard in shards),
        ("storage", storage(sight)), ("memory", memory(sight)),
    ]  # fmt: skip
    for name, part in asked:
        for one in await _answered(name, part):
            if isinstance(one, Lacking):
                missing[one.name] = one.why
            else:
                found.append(one)
    if not shards:
        missing["database"] = TOO_LITTLE
    missing["nats"] = "how busy NATS is, is not measured"
    return Today(found, missing, dict(sight.installed.drivers), _notes(sight))


async def _answered(name: str, asked: Awaitable[Part | list[Part]]) -> list[Part]:
    """The parts of a component; what it refuses, such as a trend of too few weeks, is lacking of it alone."""
    try:
        answer = await asked
    except Invalid as error:
        return [Lacking(name, error.message)]
    return answer if isinstance(answer, list) else [answer]


async def _web(sight: Sight) -> Part:
    load = await sight.record.load(Key(WEB, "demand"))
    if load is None:
        return Lacking("web", TOO_LITTLE)
    fleet, evidence, tested = sight.installed.web, load.most, False
    rate = await sight.record.load(Key(WEB, "throughput"))
    per_request = load.peak.need.quantile(0.5) / rate.peak.need.quantile(0.5) if rate and rate.most else 0.0
    if sight.tests is not None and per_request * sight.tests.highest > evidence:
        evidence, tested = per_request * sight.tests.highest, True
    return loaded(sight, load)._replace(
        name="web", what="processes that answer requests, by their CPU", unit="cores", driver="users",
        size=CORE, units=fleet.units, ceiling=fleet.ceiling, least=fleet.least, mode=fleet.mode, kind="add_process",
        billed="web", paid=await _paid(sight, WEB),
        evidence=evidence, tested=tested,
        proof="run `atomic-guide loadtest run --steps {steps}`" if per_request else "",
        proof_scale=1 / per_request if per_request else 1.0,
    )  # fmt: skip


async def _tested(sight: Sight) -> Part:
    """Requests against what load tests, or else the busiest hours, have shown the system to bear."""
    name, tests = "web requests", sight.tests
    load = await sight.record.load(Key(WEB, "throughput"))
    if load is None:
        return Lacking(name, TOO_LITTLE)
    if tests is None:
        tests = await operational.points(sight.record, sight.installed.web.units)
    if tests is None:
        return Lacking(name, "no load test is stored; run `atomic-guide loadtest run --steps 20,40,80,120,160,200`")
    try:
        law = fit(tests.points)
    except Invalid as error:
        return Lacking(name, f"{tests.source}: {error.message}")
    most = sight.settings.evidence_factor
    best, found = law.best(most * law.highest), loaded(sight, load)
    size: Spread | None = best
    evidence, notes = max(tests.highest, load.most), [*found.notes, told_peak(law)]
    if law.peak().high > most * law.highest:
        # The limit was not found: what the law says at the end of the evidence is borne, and nothing is said of more.
        size, evidence = None, max(best.interval[0] / most, load.most)
        notes.append(f"at least {best.interval[0]:,.4g} requests/s are borne; where the limit is, no point shows")
    return found._replace(
        name=name, what=f"what was borne in {tests.source}, with as many processes as then", unit="requests/s",
        driver="users", size=size, units=1, ceiling=1, kind="add_process", evidence=evidence,
        tested=sight.tests is not None, proof="run `atomic-guide loadtest run --steps {steps}`", notes=tuple(notes),
    )  # fmt: skip


def told_peak(law: Fit) -> str:
    """What a fit says of the peak, in words."""
    peak = law.peak()
    if peak.high == float("inf"):
        return (
            f"no evidence for a peak: throughput may level off, or be highest anywhere over {peak.low:,.0f} in flight"
        )
    if peak.high <= law.lowest:
        return f"throughput falls from {law.lowest:g} in flight on: if it is ever higher, below what was measured"
    return f"throughput is highest at {peak.low:,.0f} to {peak.high:,.0f} in flight"


async def _workers(sight: Sight) -> Part:
    record, installed, settings = sight.record, sight.installed, sight.settings
    queues = await record.parts(WORKERS, "work")
    load = await record.load(*(Key(WORKERS, "work", queue) for queue in queues)) if queues else None
    if load is None:
        return Lacking("workers", TOO_LITTLE)
    fleet = installed.workers
    runs = await record.runs(queues)
    found = loaded(sight, load)
    table, notes = None, list(found.notes)
    if runs is not None and runs.mean and load.most > 0:
        varying = variation(runs.counts, runs.mean)
        table = slots_table(load.most, runs.mean, varying, settings)
        notes.append(
            f"slots are those with which {settings.wait_share:.0%} of jobs wait at most {settings.wait_seconds:g} s;"
            f" they take {runs.mean:.3g} s and vary by {varying**0.5:.2g} times that (Erlang C, Allen and Cunneen)"
        )
    if load.most > _FULL * installed.slots * fleet.units:
        notes.append("workers were full at the peak: what waited then is not in the need")
    return found._replace(
        name="workers", what="slots of processes that run jobs", unit="slots", driver="lectures",
        size=Spread.exactly(installed.slots), units=fleet.units, ceiling=fleet.ceiling, least=fleet.least,
        mode=fleet.mode,
        kind="add_consumer", billed="workers", paid=await _paid(sight, WORKERS), evidence=load.most,
        evidence_unit="busy slots", table=table, notes=tuple(notes),
    )  # fmt: skip


async def _paid(sight: Sight, fleet: str) -> float | None:
    """Units of a fleet that costs have counted; none of a fleet while others were, where its work is theirs."""
    found = await sight.record.mean(Key("costs", "units", fleet))
    if found is None and await sight.record.mean(Key("costs", "units", WEB)) is not None:
        return 0.0
    return found


def variation(counts: Mapping[int, int], mean: float) -> float:
    """The squared coefficient of variation of durations that are counted by bucket."""
    total = sum(counts.values())
    squares = sum(count * (seconds_of(bucket) - mean) ** 2 for bucket, count in counts.items())
    return squares / total / mean**2


def slots_table(most: float, mean: float, varying: float, settings: CapacitySettings) -> Table:
    """Slots that are needed for slots that are busy in the mean, so that waits are as the settings ask."""
    offered = np.geomspace(most / 100, most * _TABLE_REACH, _TABLE_PLACES)
    offered = offered[offered < erlang.MOST_SERVERS / 2]
    needed = [
        erlang.servers_needed(
            erlang.Load(busy / mean, mean, services_varying=varying), settings.wait_seconds, settings.wait_share
        )
        for busy in offered.tolist()
    ]
    return Table(np.concatenate(([0.0], offered)), np.concatenate(([0.0], np.array(needed, dtype=np.float64))))


async def _rooms(sight: Sight) -> list[Part]:
    """The fullest room, and all sockets; both are spread over the web processes, which have limits for either."""
    fleet, found = sight.installed.web, list[Part]()
    for name, metric, most, what in (
        ("rooms", "largest_room", sight.installed.room_sockets, "the fullest room"),
        ("sockets", "sockets", sight.installed.process_sockets, "all sockets"),
    ):
        load = await sight.record.load(Key(ROOMS, metric), highest=True)
        if load is None:
            found.append(Lacking(name, TOO_LITTLE))
            continue
        found.append(loaded(sight, load)._replace(
            name=name, what=f"{what}, spread over the web processes", unit="sockets", driver="users",
            size=Spread.exactly(most), units=fleet.units, ceiling=fleet.ceiling, mode=fleet.mode, kind="add_process",
            evidence=load.most, proof="load-test {figure} sockets"))  # fmt: skip
    return found


async def _shard(sight: Sight, shard: str) -> list[Part]:
    """Writes and reads of a shard; where they were not measured apart, the busier of the two."""
    found: list[Part] = []
    share = sight.settings.database_share
    size = Spread.between(share * (1 - _SHARE_OFF), share, min(share * (1 + _SHARE_OFF), 1.0))
    writes = await sight.record.load(Key(DATABASE, "writers_busy", shard))
    reads = await sight.record.load(Key(DATABASE, "readers_busy", shard))
    both = await sight.record.load(Key(DATABASE, "utilisation", shard)) if writes is None or reads is None else None
    name, files = f"database {shard}", sight.installed.space is not None
    # Files have no servers to pay for.
    billed: What | None = None if files else "database"
    if writes is not None and reads is not None:
        replicas = sight.installed.replicas.get(shard, Fleet(0, 0, 0))
        # A file has no replicas: where its reads are too many, courses go to another one.
        kind: Kind = "add_shard" if files else "add_read_replica"
        found.append(loaded(sight, writes)._replace(
            name=f"{name} writes", what="the writer of a shard", unit="share", driver="users", size=size, units=1,
            ceiling=1, least=1, kind="add_shard", billed=billed, evidence=writes.most))  # fmt: skip
        found.append(loaded(sight, reads)._replace(
            name=f"{name} reads", what="connections that read, of a shard and its replicas", unit="share",
            driver="users", size=size, units=1, ceiling=1, kind=kind, evidence=reads.most,
            billed=None if files else "replicas", least=replicas.units, others=1))  # fmt: skip
    elif both is not None:
        found.append(loaded(sight, both)._replace(
            name=name, what="the busier of a shard's writer and readers", unit="share", driver="users", size=size,
            units=1, ceiling=1, least=1, kind="add_shard", billed=billed, evidence=both.most))  # fmt: skip
    else:
        found.append(Lacking(name, TOO_LITTLE))
    return found


def _notes(sight: Sight) -> tuple[str, ...]:
    notes = sight.tests.left_out if sight.tests is not None else []
    calendar = () if sight.record.spans else ("no terms or breaks are scheduled: every week ahead counts alike",)
    return (*calendar, *notes)
