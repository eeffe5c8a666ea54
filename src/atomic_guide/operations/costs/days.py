"""The ledger: what each day cost, closed with the prices of that day, so that new prices do not rewrite the past."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.costs.money import ZERO, micro, over
from atomic_guide.operations.costs.pace import pace_state
from atomic_guide.operations.costs.pricing import Line, Unpriced, priced
from atomic_guide.operations.costs.sharing import by_feature, by_tenant
from atomic_guide.operations.costs.usage import MINUTE, SLOT, joined, read_usage

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.operations.costs.terms import Terms
    from atomic_guide.operations.costs.usage import Usage
    from atomic_guide.operations.scaling.series import Series

QUERIES = load_queries(__package__)

_DAY = 86_400.0
_KEPT_DAYS = 400
"""As long as the record that they are made from."""

_CLOSED_AT_ONCE = 31
_LATE_SECONDS = 900.0
"""After midnight, before a day is closed: a process that was cut off may still record."""


class Counts(msgspec.Struct, frozen=True):
    """How much was done."""

    launches: int = 0
    messages: int = 0
    lecture_hours: Decimal = ZERO


class DayCost(msgspec.Struct, frozen=True):
    """What a day cost. `hours` of it are measured: what is not is unknown, not free."""

    day: str
    currency: str
    version: str
    hours: Decimal
    total: Decimal
    lines: tuple[Line, ...] = ()
    features: Mapping[str, Decimal] = {}
    tenants: Mapping[str, Decimal] = {}
    regions: Mapping[str, Decimal] = {}
    units: Mapping[str, float] = {}
    counts: Counts = Counts()
    unpriced: tuple[Unpriced, ...] = ()


def cost_of(day: str, usage: Usage, terms: Terms) -> DayCost:
    """What the measured hours of a day cost."""
    found = priced(pace_state(terms, usage.pace), terms.prices, usage.hours)
    watched = micro(over(Decimal(usage.count("lecture_seconds")), Decimal(3600)))
    return DayCost(
        day=day,
        currency=found.currency,
        version=found.version,
        hours=usage.hours,
        total=found.total,
        lines=found.lines,
        features=by_feature(found, usage),
        tenants=by_tenant(found, usage),
        regions={terms.costs.region: found.total},
        units=usage.units,
        counts=Counts(usage.count("launches"), usage.count("messages"), watched),
        unpriced=found.unpriced,
    )


class Days:
    """The ledger of a directory. Days are of UTC, as providers bill."""

    def __init__(self, directory: Database, series: Series, terms: Terms) -> None:
        self._directory = directory
        self._series = series
        self._terms = terms

    async def read(self, since: dt.date) -> list[DayCost]:
        """The closed days from one on, in order."""
        rows = await self._directory.read(QUERIES["read_days"], {"since": since.isoformat(), "limit": _KEPT_DAYS + 1})
        return [msgspec.json.decode(row["value"], type=DayCost) for row in rows]

    async def today(self, now: float) -> tuple[DayCost, Usage]:
        """What today has cost up to the last minute, with what it was made from."""
        begin, quarter = now // _DAY * _DAY, now // SLOT * SLOT
        quarters = await read_usage(self._series, begin, quarter)
        usage = joined(quarters, await read_usage(self._series, quarter, now // MINUTE * MINUTE, MINUTE))
        return cost_of(_name(begin), usage, self._terms), usage

    async def close(self, now: float) -> int:
        """Close days that have ended, at most a month of them; how many. Again is harmless."""
        first = _first(await self._directory.read(QUERIES["first_measured"]))
        if first is None:
            return 0
        begin = max(first, now - _KEPT_DAYS * _DAY) // _DAY * _DAY
        last = await self._directory.one(QUERIES["last_day"])
        if last is not None and last["day"] is not None:
            begin = max(begin, _begin(last["day"]) + _DAY)
        closed: list[DayCost] = []
        while begin + _DAY + _LATE_SECONDS <= now and len(closed) < _CLOSED_AT_ONCE:
            usage = await read_usage(self._series, begin, begin + _DAY)
            closed.append(cost_of(_name(begin), usage, self._terms))
            begin += _DAY
        return await self._put(closed, now) if closed else 0

    async def _put(self, closed: list[DayCost], now: float) -> int:
        before = _name(now - _KEPT_DAYS * _DAY)

        async def work(tx: Transaction) -> int:
            # Looked at again: the record may have been removed while its days were read.
            first = _first(await tx.read(QUERIES["first_measured"]))
            measured = [one for one in closed if first is not None and one.day >= _name(first)]
            for one in measured:
                row = {"day": one.day, "closed_at": now, "version": one.version, "currency": one.currency}
                await tx.execute(QUERIES["put_day"], {**row, "value": msgspec.json.encode(one).decode()})
            await tx.execute(QUERIES["prune_days"], {"before": before})
            return len(measured)

        return await self._directory.write(work)


def _first(rows: Sequence[Row]) -> float | None:
    return rows[0]["at"] if rows else None


def _name(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()


def _begin(day: str) -> float:
    return dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), dt.UTC).timestamp()
