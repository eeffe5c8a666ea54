"""The components of a server, from what it has recorded, what runs, and what was load-tested.

Each function knows one component and returns None, or the reason, where too little of it was measured: what is missing
is told by name and never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from atomic_guide.durations import seconds_of
from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity import erlang, peaks
from atomic_guide.operations.capacity.component import Component, Table, Today
from atomic_guide.operations.capacity.growth import Driver, Growth
from atomic_guide.operations.capacity.peaks import Peak
from atomic_guide.operations.capacity.points import Taken
from atomic_guide.operations.capacity.record import Load, Record, inflow
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.capacity.spread import Spread
from atomic_guide.operations.capacity.usl import Fit, fit
from atomic_guide.operations.scaling.model import DATABASE, ROOMS, WEB, WORKERS, Key

TOO_LITTLE = "there are not two weeks of it on record in which most days were measured"

CORE = Spread.between(0.7, 0.8, 0.9)
"""Cores that a web process takes before answers queue: its loop is one thread (0.8 in app/scaling.py, too)."""

_TABLE_PLACES = 60
_TABLE_REACH = 200.0
"""How many times the peak of now the table of slots goes; beyond, ratios hold."""

_FULL = 0.9
"""Where workers were so full at a peak, some of what was asked for is not in what ran."""

_GAPS = 0.9

_SHARE_OFF = 0.15
"""How far off a tolerable share of a database may be: where calls vary more than M/M/1 has it, less is."""


class Fleet(NamedTuple):
    """Units of a fleet: how many run, and to how many it grows by itself."""

    units: int
    ceiling: int
    least: int


class Installed(NamedTuple):
    """What runs here. `space` is bytes for lectures and databases, with those that they take; None where unknown."""

    web: Fleet
    workers: Fleet
    replicas: Mapping[str, Fleet]
    slots: int
    room_sockets: int
    space: float | None
    drivers: Mapping[Driver, float]


class Sight(NamedTuple):
    """Everything that components are made from."""

    record: Record
    installed: Installed
    settings: CapacitySettings
    tests: Taken | None
    ahead: int
    trends: bool


async def gather(sight: Sight) -> Today:
    """Every component that can be told of, and why the others cannot."""
    found: list[Component] = []
    missing: dict[str, str] = {}
    for part in (await _web(sight), await _tested(sight), await _workers(sight), await _rooms(sight)):
        _take(part, found, missing)
    shards = await sight.record.parts(DATABASE, "utilisation")
    for shard in shards:
        for part in await _shard(sight, shard):
            _take(part, found, missing)
    if not shards:
        missing["database"] = TOO_LITTLE
    _take(await _storage(sight), found, missing)
    missing["nats"] = "how busy NATS is, is not measured"
    return Today(found, missing, dict(sight.installed.drivers), _notes(sight))


class Lacking(NamedTuple):
    """A component that nothing can be said of, and why."""

    name: str
    why: str


Part = Component | Lacking


def _take(part: Part, found: list[Component], missing: dict[str, str]) -> None:
    if isinstance(part, Lacking):
        missing[part.name] = part.why
    else:
        found.append(part)


async def _web(sight: Sight) -> Part:
    load = await sight.record.load(Key(WEB, "demand"))
    if load is None:
        return Lacking("web", TOO_LITTLE)
    fleet, evidence, tested = sight.installed.web, load.most, False
    rate = await sight.record.load(Key(WEB, "throughput"))
    per_request = load.peak.need.quantile(0.5) / rate.peak.need.quantile(0.5) if rate and rate.most else 0.0
    if sight.tests is not None and per_request * sight.tests.highest > evidence:
        evidence, tested = per_request * sight.tests.highest, True
    return _loaded(sight, load)._replace(
        name="web", what="processes that answer requests, by their CPU", unit="cores", driver="users",
        size=CORE, units=fleet.units, ceiling=fleet.ceiling, least=fleet.least, kind="add_process", billed="web",
        evidence=evidence, tested=tested,
        proof="run `atomic-guide loadtest run --steps {steps}`" if per_request else "",
        proof_scale=1 / per_request if per_request else 1.0,
    )  # fmt: skip


async def _tested(sight: Sight) -> Part:
    """Requests against what load tests have shown the system to bear, as it was then."""
    name = "web requests"
    if sight.tests is None:
        return Lacking(name, "no load test is stored; run `atomic-guide loadtest run` with at least 5 steps")
    load = await sight.record.load(Key(WEB, "throughput"))
    if load is None:
        return Lacking(name, TOO_LITTLE)
    try:
        law = fit(sight.tests.points)
    except Invalid as error:
        return Lacking(name, f"{sight.tests.source}: {error.message}")
    found = _loaded(sight, load)
    return found._replace(
        name=name, what=f"what was borne in {sight.tests.source}, with as many processes as then", unit="requests/s",
        driver="users", size=law.best(sight.settings.evidence_factor * law.highest), units=1, ceiling=1,
        kind="add_process", evidence=max(sight.tests.highest, load.most), tested=True,
        proof="run `atomic-guide loadtest run --steps {steps}`",
        notes=(*found.notes, told_peak(law)),
    )  # fmt: skip


def told_peak(law: Fit) -> str:
    """What a fit says of the peak, in words."""
    peak = law.peak()
    if peak.high == float("inf"):
        return (
            f"no evidence for a peak: throughput may level off, or be highest anywhere over {peak.low:,.0f} in flight"
        )
    return f"throughput is highest at {peak.low:,.0f} to {peak.high:,.0f} in flight"


async def _workers(sight: Sight) -> Part:
    record, installed, settings = sight.record, sight.installed, sight.settings
    queues = await record.parts(WORKERS, "work")
    load = await record.load(*(Key(WORKERS, "work", queue) for queue in queues)) if queues else None
    if load is None:
        return Lacking("workers", TOO_LITTLE)
    fleet = installed.workers
    runs = await record.runs(queues)
    found = _loaded(sight, load)
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
        kind="add_consumer", billed="workers", evidence=load.most, table=table, notes=tuple(notes),
    )  # fmt: skip


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


async def _rooms(sight: Sight) -> Part:
    load = await sight.record.load(Key(ROOMS, "largest_room"), highest=True)
    if load is None:
        return Lacking("rooms", TOO_LITTLE)
    fleet = sight.installed.web
    return _loaded(sight, load)._replace(
        name="rooms", what="the fullest room, which is spread over the web processes", unit="sockets", driver="users",
        size=Spread.exactly(sight.installed.room_sockets), units=fleet.units, ceiling=fleet.ceiling,
        kind="add_process", evidence=load.most,
        proof="load-test a room of {figure} sockets",
    )  # fmt: skip


async def _shard(sight: Sight, shard: str) -> list[Part]:
    """Writes and reads of a shard; where they were not measured apart, the busier of the two."""
    found: list[Part] = []
    share = sight.settings.database_share
    size = Spread.between(share * (1 - _SHARE_OFF), share, min(share * (1 + _SHARE_OFF), 1.0))
    writes = await sight.record.load(Key(DATABASE, "writers_busy", shard))
    reads = await sight.record.load(Key(DATABASE, "readers_busy", shard))
    both = await sight.record.load(Key(DATABASE, "utilisation", shard)) if writes is None or reads is None else None
    name = f"database {shard}"
    if writes is not None and reads is not None:
        replicas = sight.installed.replicas.get(shard, Fleet(0, 0, 0))
        found.append(_loaded(sight, writes)._replace(
            name=f"{name} writes", what="the writer of a shard", unit="share", driver="users", size=size, units=1,
            ceiling=1, least=1, kind="add_shard", billed="database", evidence=writes.most))  # fmt: skip
        found.append(_loaded(sight, reads)._replace(
            name=f"{name} reads", what="connections that read, of a shard and its replicas", unit="share",
            driver="users", size=size, units=1, ceiling=1, kind="add_read_replica", evidence=reads.most,
            billed="replicas", least=replicas.units))  # fmt: skip
    elif both is not None:
        found.append(_loaded(sight, both)._replace(
            name=name, what="the busier of a shard's writer and readers", unit="share", driver="users", size=size,
            units=1, ceiling=1, least=1, kind="add_shard", billed="database", evidence=both.most))  # fmt: skip
    else:
        found.append(Lacking(name, TOO_LITTLE))
    return found


async def _storage(sight: Sight) -> Part:
    """Lectures and databases on one disk; what is elsewhere has no capacity that is known here."""
    record = sight.record
    stored, databases = await record.daily(Key("costs", "stored")), await record.daily(Key("costs", "database_bytes"))
    known = np.flatnonzero(~np.isnan(stored))
    if not len(known):
        return Lacking("storage", "what lectures and databases take is not on record")
    total = stored if np.isnan(databases).all() else stored + databases
    grows = inflow(total)
    if grows is None:
        return Lacking("storage", "there are not two weeks of what lectures and databases take on record")
    now = float(total[~np.isnan(total)][-1])
    space = sight.installed.space
    lectures = sight.installed.drivers.get("lectures")
    each = (f"a lecture takes {float(stored[known[-1]]) / lectures:.3g} bytes in the mean",) if lectures else ()
    return Component(
        name="storage", what="lectures and databases", unit="bytes", driver="lectures", need=Spread.exactly(now),
        size=Spread.exactly(space) if space is not None else None, units=1, ceiling=1, kind="add_storage",
        history=float(len(stored) - known[0]), inflow=grows, billed="storage",
        notes=each if space is not None else (*each, "how much room there is where they are kept is not known here"),
        growth=_own(await record.load(Key("costs", "stored"))) if sight.trends else None,
    )  # fmt: skip


def _loaded(sight: Sight, load: Load) -> Component:
    """A component of a load, before it is named."""
    return of_load(load, sight.record.kinds(0, sight.ahead + 1), trends=sight.trends)


def of_load(load: Load, ahead: peaks.Numbers, *, trends: bool) -> Component:
    """What a load says of its component: need, season, history, gaps. `ahead` are kinds of the days from now on."""
    peak = load.peak
    return Component(
        name="", what="", unit="", driver="users", need=peak.need, size=None, units=1, ceiling=1, kind="add_process",
        age=peak.age, history=load.history, season=peaks.season(ahead, load.effects), notes=_told(load, peak, ahead),
        growth=_own(load) if trends else None,
    )  # fmt: skip


def _own(load: Load | None) -> Growth:
    """The growth that a load has shown. Raises `Invalid` where it was not measured for long enough."""
    shown = peaks.trend(load.days) if load is not None else None
    if shown is None:
        raise Invalid(
            f"a growth is measured over at least {peaks.TREND_WEEKS} usual weeks, and there are fewer; say it, such as"
            " --growth 2x/year"
        )
    return Growth(compound=True, rate=shown, text="measured", assumed=False)


def _told(load: Load, peak: Peak, ahead: peaks.Numbers) -> tuple[str, ...]:
    notes = [f"the peak is that of {peak.weeks} weeks"]
    if load.days.measured < _GAPS:
        notes.append(f"{1 - load.days.measured:.0%} of the time since the first measurement was not measured")
    usual = peaks.reference(load.days.kinds)
    if peak.unusual and len(set(load.days.kinds[-7 * peaks.WEEKS :].tolist())) > 1:
        notes.append(f"hardly any {peaks.named([usual])} week was measured: the peak is that of other weeks")
    unknown = sorted(set(ahead.tolist()) - set(load.effects))
    if unknown:
        notes.append(f"days ahead of a kind that was not measured count as usual ones: {peaks.named(unknown)}")
    if seen := {kind: effect for kind, effect in load.effects.items() if effect}:
        shares = (f"{peaks.named([kind])} {np.exp(effect):.0%}" for kind, effect in seen.items())
        notes.append(f"beside usual days: {', '.join(shares)}")
    return tuple(notes)


def _notes(sight: Sight) -> tuple[str, ...]:
    notes: Sequence[str] = sight.tests.left_out if sight.tests is not None else ()
    calendar = () if sight.record.spans else ("no terms or breaks are scheduled: every week ahead counts alike",)
    return (*calendar, *notes)
