"""What was used in a time, read from the record: means over what was measured, and how much of the time that was."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from atomic_guide.operations.costs.measured import COSTS
from atomic_guide.operations.costs.money import exact
from atomic_guide.operations.costs.pace import Pace
from atomic_guide.operations.scaling.model import WEB, WORKERS, Key

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Series

SLOT, MINUTE = 900, 60
"""What is read: quarters of an hour, and of one that is not over its minutes."""

_HOUR = 3600.0
_DIGITS = Decimal("0.0001")

FEATURES, TENANTS = "features", "tenants"

_WORK = {(WEB, "work"), (WORKERS, "work")}
_RATES = ("store_reads", "store_repeats", "store_writes", "launches", "messages", "lecture_seconds")

TOTALS = frozenset({"units", "stored", "database_bytes", "sent", *_RATES})
"""What a state is made from, without whose work it was."""

ALL = TOTALS | {"work", "tenant_work", "tenant_sent", "tenant_stored"}


class Usage(msgspec.Struct, frozen=True):
    """Means over the measured part of a time; `hours` of it are measured, of `span`.

    What is by feature or tenant is a mean over the same hours, a quarter without a figure being none of theirs.
    """

    span: Decimal
    hours: Decimal
    units: Mapping[str, float] = {}
    stored: float = 0.0
    database_bytes: float = 0.0
    rates: Mapping[str, float] = {}
    """Of `costs.*` that are told in a second."""
    work: Mapping[str, Mapping[str, float]] = {}
    """Of the fleets web and workers, by feature."""
    sent: Mapping[str, float] = {}
    tenants: Mapping[str, Mapping[str, float]] = {}
    """`work`, `sent` and `stored` by tenant."""

    @property
    def pace(self) -> Pace:
        """As the pace of a month."""
        return Pace(
            self.units, self.stored, self.database_bytes, self.rates.get("store_reads", 0.0),
            self.rates.get("store_writes", 0.0), sum(self.sent.values()),
        )  # fmt: skip

    def count(self, what: str) -> int:
        """How often something happened in the measured hours: launches, messages; seconds for lectures."""
        return round(self.rates.get(what, 0.0) * float(self.hours) * _HOUR)


async def read_usage(
    series: Series, since: float, until: float, slot: int = SLOT, metrics: frozenset[str] = ALL
) -> Usage:
    """What was used between two moments, which are ends of slots: quarters of an hour, or minutes of a short time."""
    keys = [key for key in await series.keys() if key.component == COSTS or key[:2] in _WORK]
    slots = max(round((until - since) / slot), 0)
    span = exact(slots * slot / _HOUR).quantize(_DIGITS)
    read: dict[Key, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    known = np.zeros(slots, dtype=bool)
    for key in keys:
        if key.metric in metrics:
            values = (await series.read(key, since, until, slot)).values[:slots]
            read[key] = values
            if key[:2] == (COSTS, "units"):
                known |= ~np.isnan(values)
    hours = exact(float(known.sum()) * slot / _HOUR).quantize(_DIGITS)
    if not known.any():
        return Usage(span, hours)
    means = {
        key: float(np.where(known, np.nan_to_num(values), 0.0).sum() / known.sum()) for key, values in read.items()
    }
    return Usage(
        span, hours,
        units=_parts(means, COSTS, "units"),
        stored=means.get(Key(COSTS, "stored"), 0.0),
        database_bytes=means.get(Key(COSTS, "database_bytes"), 0.0),
        rates={name: means[key] for name in _RATES if (key := Key(COSTS, name)) in means},
        work={fleet: _parts(means, fleet, "work") for fleet in (WEB, WORKERS)},
        sent=_parts(means, COSTS, "sent"),
        tenants={name: _parts(means, COSTS, f"tenant_{name}") for name in ("work", "sent", "stored")},
    )  # fmt: skip


def joined(first: Usage, second: Usage) -> Usage:
    """Two times as one: means weigh by their hours."""
    hours = first.hours + second.hours
    if not hours:
        return Usage(first.span + second.span, hours)
    share = float(first.hours / hours)

    def mean(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
        return {
            name: share * one.get(name, 0.0) + (1 - share) * other.get(name, 0.0) for name in sorted({*one, *other})
        }

    def means(one: Mapping[str, Mapping[str, float]], other: Mapping[str, Mapping[str, float]]
              ) -> dict[str, dict[str, float]]:  # fmt: skip
        return {name: mean(one.get(name, {}), other.get(name, {})) for name in sorted({*one, *other})}

    return Usage(
        first.span + second.span, hours,
        units=mean(first.units, second.units),
        stored=share * first.stored + (1 - share) * second.stored,
        database_bytes=share * first.database_bytes + (1 - share) * second.database_bytes,
        rates=mean(first.rates, second.rates),
        work=means(first.work, second.work),
        sent=mean(first.sent, second.sent),
        tenants=means(first.tenants, second.tenants),
    )  # fmt: skip


def _parts(means: Mapping[Key, float], component: str, metric: str) -> dict[str, float]:
    return {key.part: mean for key, mean in means.items() if key[:2] == (component, metric) and mean}
