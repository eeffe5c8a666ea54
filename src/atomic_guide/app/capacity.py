"""Capacity planning joined with what runs here: fleets and their bounds, disk, people, courses, lectures, prices."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.operations.capacity.capacity import HOURS, Capacity
from atomic_guide.operations.capacity.component import Price, What
from atomic_guide.operations.capacity.growth import Driver
from atomic_guide.operations.capacity.plan import GIGABYTE
from atomic_guide.operations.capacity.sight import Fleet, Installed
from atomic_guide.operations.costs.state import DATABASE
from atomic_guide.operations.costs.terms import Terms, listed_price, made_terms, terms_in_force
from atomic_guide.operations.loadtest.store import FOLDER
from atomic_guide.operations.scaling.controls import NONE, Controls
from atomic_guide.operations.scaling.model import REPLICAS, WEB, WORKERS, Key
from atomic_guide.operations.scaling.schedule import Schedule, spans_of
from atomic_guide.operations.scaling.series import Series

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.scaling.calendar import Span

_QUERIES = load_queries(__package__, "capacity.sql")

_COUNTS: Mapping[str, Driver] = {"count_people": "users", "count_courses": "courses", "count_lectures": "lectures"}

_NOW_SECONDS = 86_400.0
"""How far back the number of processes is looked for; before, it may have been another system."""


class ListedPrices:
    """The prices of the costs part: of the price list, or those that operators have set for a fleet's unit.

    Of storage the price of the hot class before its tiers. Files of a data directory have no servers to pay for.
    """

    def __init__(self, terms: Terms, *, files: bool) -> None:
        self._terms = terms
        self._files = files

    def month(self, what: What) -> Price | None:
        """The price of a thing for a month; None where none is known."""
        month = self._hourly(what) * HOURS if what != "storage" else self._gigabyte()
        prices = self._terms.prices
        return Price(month, prices.currency, prices.version) if month else None

    def _hourly(self, what: What) -> float:
        if what in {"database", "replicas"} and self._files:
            return 0.0
        if what == "database":
            return float(listed_price(self._terms.costs, self._terms.prices, DATABASE))
        return self._terms.scaling.fleet(f"{REPLICAS}*" if what == "replicas" else what).unit_price

    def _gigabyte(self) -> float:
        item = self._terms.prices.find("storage.hot")
        return float(item.price) * GIGABYTE / self._terms.prices.gigabyte if item is not None else 0.0


def made_capacity(settings: Settings, shards: Shards) -> Capacity:
    """Capacity planning over open databases."""
    series = Series(shards.directory)

    terms = made_terms(settings.scaling, settings.costs)

    async def prices() -> ListedPrices:
        return ListedPrices(await terms_in_force(shards.directory, terms), files=is_embedded(settings.databases))

    async def installed(at: float) -> Installed:
        return await _installed(settings, shards, series, at)

    async def spans(since: float) -> Sequence[Span]:
        return spans_of(await Schedule(shards.directory).entries(since))

    tests = Path(settings.data) / FOLDER
    return Capacity(series, installed, spans, tests, settings.capacity, prices)


async def _installed(settings: Settings, shards: Shards, series: Series, at: float) -> Installed:
    scaling, processes = settings.scaling, settings.processes
    configured = {WEB: processes.web, WORKERS: processes.worker + 1}
    fleets: dict[str, Fleet] = {}
    controls = await Controls(shards.directory).look()
    for name, count in configured.items():
        own, control = scaling.fleet(name), controls.get(name, NONE)
        seen = await _last(series, Key(name, "processes"), at)
        units = max(seen if seen is not None else count, 1)
        most = own.max if control.most is None else min(control.most, own.max)
        fleets[name] = Fleet(units, max(units, most), own.min, control.mode or own.mode)
    replicas = {
        name: Fleet(len(one.replicas), max(len(one.replicas), scaling.replicas.max), scaling.replicas.min)
        for one in shards.replica_sets
        if (name := one.name.removeprefix(REPLICAS))
    }
    space = await asyncio.to_thread(_space, settings, Path(settings.data)) if is_embedded(settings.databases) else None
    if space is not None:
        kept = [await _last(series, Key("costs", name), at) for name in ("stored", "database_bytes")]
        space += sum(size for size in kept if size is not None)
    return Installed(
        fleets[WEB], fleets[WORKERS], replicas, settings.queues.slots, settings.rooms.room_sockets,
        settings.rooms.process_sockets, space, _memory() if space is not None else None,
        await _drivers(shards),
    )  # fmt: skip


async def _last(series: Series, key: Key, at: float) -> int | None:
    found = await series.read(key, at - _NOW_SECONDS, at, 60)
    known = [value for value in found.values.tolist() if not math.isnan(value)]
    return round(known[-1]) if known else None


def _space(settings: Settings, data: Path) -> float:
    """Bytes that are free for lectures and databases: the reserve of the store is left."""
    return max(0.0, float(shutil.disk_usage(data).free - settings.assets.least_free_bytes))


def _memory() -> float:
    """Bytes of this machine's memory."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


async def _drivers(shards: Shards) -> dict[Driver, float]:
    """How many people, courses and lectures there are; those that a shard does not tell of are left out."""
    found: dict[Driver, float] = {}
    for name, driver in _COUNTS.items():
        answer = await scatter(shards.all(), _QUERIES[name])
        if answer.complete:
            found[driver] = float(sum(one.row["count"] for one in answer.rows))
    return found
