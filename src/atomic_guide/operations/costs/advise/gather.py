"""The facts that recommendations are made from, read from the record, the last tick and the shards."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.errors import GuideError, Invalid
from atomic_guide.operations.costs.advise.model import Bounds, Facts, FleetFacts, RoomFacts, StoreFacts
from atomic_guide.operations.costs.measured import COSTS
from atomic_guide.operations.costs.money import exact
from atomic_guide.operations.costs.pace import cooler, pace_state
from atomic_guide.operations.costs.usage import SLOT, TOTALS, read_usage
from atomic_guide.operations.scaling.controls import NONE, Control, Controls
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.shipped import rules_in_force
from atomic_guide.operations.scaling.events import Reader
from atomic_guide.operations.scaling.loop import MIND, Counted, recall_standing
from atomic_guide.operations.scaling.model import DATABASE, REPLICAS, ROOMS, WEB, WORKERS, Key

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.costs.terms import Terms
    from atomic_guide.operations.costs.usage import Usage
    from atomic_guide.operations.scaling.decide.outlook import Outlook
    from atomic_guide.operations.scaling.series import Series

QUERIES = load_queries(__package__)

STEP = 300
"""Seconds of a tick of replays, each with the most of its demand: four weeks are replayed in half a second."""

IDLE_DAYS = 180
"""Lectures that were not played for half a year: a course that comes each year is played once in it."""

_DAY = 86_400.0
_DATABASE_SECONDS = 7 * _DAY
"""How far back reads and writes are counted: each is a row of counts that must be read."""

_WEEK_HOURS = 168
_FULL_ROOM = "full-room"
_DIGITS = Decimal("0.0001")


class Gathered(NamedTuple):
    """Facts, and how much of the window they are from was measured."""

    facts: Facts
    usage: Usage
    since: float


async def gather(shards: Shards, series: Series, terms: Terms, cool_class: str | None, now: float) -> Gathered:
    """Everything, from the window of the settings; `cool_class` is the main store's. Raises as every read does."""
    until = now // SLOT * SLOT
    since = until - terms.costs.look_back_days * _DAY
    usage = await read_usage(series, since, until, metrics=TOTALS)
    standing = await recall_standing(Reader(shards.directory))
    controls = await Controls(shards.directory).look()
    outlooks = await _outlooks(shards)
    fleets = {}
    at = standing.at if standing is not None else 0.0
    for name, counted in (standing.fleets if standing is not None else {}).items():
        control, outlook = controls.get(name, NONE), outlooks.get(name)
        fleets[name] = await _fleet(series, terms, (name, counted, control, at), outlook, (since, until, usage))
    reads, writes, repeats = (usage.rates.get(f"store_{name}", 0.0) for name in ("reads", "writes", "repeats"))
    cooled = await cooled_bytes(shards)
    idle = await _idle(shards, now)
    idle = None if idle is None else max(idle - cooled, 0)
    store = StoreFacts(reads, writes, repeats, idle, IDLE_DAYS, 0, cool_class)
    facts = Facts(
        state=cooler(pace_state(terms, usage.pace), cooled),
        fleets=fleets,
        queues=await _queues(series, fleets.get(WORKERS), since, until),
        rooms=await _rooms(series, terms, since, until),
        store=store,
        databases=await _databases(series, since, until),
        reads_p95=await _reads(series, fleets, since, until),
        busy=await _busy(series, fleets, since, until),
    )
    return Gathered(facts, usage, since)


async def _fleet(
    series: Series, terms: Terms, known: tuple[str, Counted, Control, float], outlook: Outlook | None,
    window: tuple[float, float, Usage],
) -> FleetFacts:  # fmt: skip
    name, counted, control, standing_at = known
    since, until, usage = window
    own = terms.scaling.fleet(name)
    least = own.min if control.least is None else control.least
    most = own.max if control.most is None else min(control.most, own.max)
    lowest = 1 if name in {WEB, WORKERS} else 0
    bounds = Bounds(control.mode or counted.mode, max(least, lowest), most, lowest)
    read = await series.read(Key(name, "demand"), since, until, STEP)
    first = int(np.argmax(~np.isnan(read.most))) if not np.isnan(read.most).all() else len(read.most)
    paid = usage.units.get(name, 0.0)
    latest = await series.latest(Key(COSTS, "units", name), standing_at)
    # The first process runs jobs too: it is one of workers, and paid for as one of web.
    shared = Decimal(int(name == WORKERS and counted.ready > (paid if latest is None else latest)))
    return FleetFacts(
        name, bounds, exact(paid).quantize(_DIGITS) + shared, counted.unit, own.start_delay_seconds, float(STEP),
        since + first * STEP, read.most[first:], shared, _always(outlook, until),
        max((entry.units for entry in outlook.entries), default=0) if outlook is not None else 0,
    )  # fmt: skip


def _always(outlook: Outlook | None, at: float) -> float | None:
    """The least p95 of the hours of the next week."""
    if outlook is None or not outlook.p95:
        return None
    first = max(int((at - outlook.begins) // 3600), 0)
    return min(outlook.p95[first : first + _WEEK_HOURS], default=None)


async def _outlooks(shards: Shards) -> Mapping[str, Outlook]:
    saved = await Reader(shards.directory).recall(MIND)
    try:
        return Memory.loaded(saved).state.outlooks if saved else {}
    except Invalid:
        # Another program wrote it: nothing is known of the forecast.
        return {}


async def _queues(series: Series, workers: FleetFacts | None, since: float, until: float) -> dict[str, float]:
    if workers is None:
        return {}
    places = max(float(workers.units), 1.0) * workers.unit
    found = {}
    for key in await series.keys():
        if key[:2] == (WORKERS, "work"):
            values = (await series.read(key, since, until, SLOT)).values
            if not np.isnan(values).all():
                found[key.part] = float(np.nanmean(values)) / places
    return found


async def _rooms(series: Series, terms: Terms, since: float, until: float) -> RoomFacts | None:
    sockets = await series.read(Key(ROOMS, "sockets"), since, until, SLOT)
    largest = await series.read(Key(ROOMS, "largest_room"), since, until, SLOT)
    if np.isnan(sockets.values).all() or np.isnan(largest.most).all():
        return None
    rule = next((rule for rule in rules_in_force(terms.scaling.rules) if rule.name == _FULL_ROOM), None)
    limit = None if rule is None else rule.clear if rule.clear is not None else rule.above
    return RoomFacts(
        float(np.nanmean(sockets.values)), float(np.nanmax(sockets.most)), float(np.nanmax(largest.most)), limit
    )


async def _databases(series: Series, since: float, until: float) -> dict[str, tuple[float, float]]:
    begin = max(since, until - _DATABASE_SECONDS)
    found = {}
    for key in await series.keys():
        if key[:2] == (DATABASE, "query"):
            reads = await series.histogram(key, begin, until)
            writes = await series.histogram(Key(DATABASE, "write", key.part), begin, until)
            found[key.part] = float(reads.count), float(writes.count)
    return found


async def _reads(
    series: Series, fleets: Mapping[str, FleetFacts], since: float, until: float
) -> dict[str, float | None]:
    begin = max(since, until - _DATABASE_SECONDS)
    shards = [name.removeprefix(REPLICAS) for name in fleets if name.startswith(REPLICAS)]
    return {shard: await series.quantile(Key(DATABASE, "query", shard), 0.95, begin, until) for shard in shards}


async def _busy(series: Series, fleets: Mapping[str, FleetFacts], since: float, until: float) -> dict[str, float]:
    found = {}
    for shard in [name.removeprefix(REPLICAS) for name in fleets if name.startswith(REPLICAS)]:
        values = (await series.read(Key(DATABASE, "utilisation", shard), since, until, SLOT)).values
        if not np.isnan(values).all():
            found[shard] = float(np.nanquantile(values, 0.95))
    return found


async def cooled_bytes(shards: Shards) -> int:
    """Bytes of lectures that are in a cheaper storage class. Raises as every read does."""
    row = await shards.directory.one(QUERIES["sum_cooled"])
    return int(row["bytes"]) if row is not None else 0


async def _idle(shards: Shards, now: float) -> int | None:
    """Bytes of lectures that nobody has played for long; None where a shard does not tell."""
    params = {"before": now - IDLE_DAYS * _DAY}
    try:
        found = await scatter(shards.all(), QUERIES["sum_idle_lectures"], params)
    except GuideError:
        return None
    return None if found.missing else sum(int(row["bytes"]) for _, row in found.rows)
