"""The history of what was measured: thirteen months in the directory, the coarser the older.

A row stands for a slot of 15 s, later of 60, 900 and 3600: how many measurements fell in it, their sum, least and most,
and for durations their counts by bucket. So means, totals and quantiles stay what they were when slots are joined.
What was not measured has no row, and is NaN where an array has a place for it.

A quantile over any time and any parts comes from merged counts, never from quantiles (histogram.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.errors import Invalid, Unavailable
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.limits import SERIES
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.reports import QUERIES

_DAY = 86_400


class Level(NamedTuple):
    """Rows of `resolution` seconds are kept for `kept` seconds, then joined into those of the next level."""

    resolution: int
    kept: int


LEVELS = (Level(15, 2 * _DAY), Level(60, 14 * _DAY), Level(900, 120 * _DAY), Level(3600, 400 * _DAY))
"""13 months at the end: a term is compared with the same one of the year before. A series takes 45,000 rows, 4 MB."""

FINEST = LEVELS[0].resolution

_ROWS_LIMIT = 100_000
"""Rows of one answer: twice what a series has when all levels are full."""

_PLACES_LIMIT = 500_000
"""Places of one array of values: 86 days by 15 s."""

_BATCH_ROWS = 1500
"""Rows that thinning joins in one transaction, about: 10 ms for the writer of an SQLite file."""

_LATEST_SECONDS = 45.0
"""What is older is not the state of now (as with reports)."""

_NOTHING = msgspec.json.encode({}).decode()

Values = NDArray[np.float64]


class Readings(NamedTuple):
    """A series at regular times: `values` are means, `most` the highest; NaN where nothing was measured.

    `times` are the begins of slots of `step` seconds, epoch. For durations a mean is over all of them in the slot.
    """

    times: Values
    values: Values
    most: Values
    step: int


class Slots(NamedTuple):
    """Measurements that were joined already, arrays of one length by the begins of slots; `histograms` of durations."""

    begins: Values
    counts: Values
    sum: Values
    least: Values
    most: Values
    histograms: Sequence[Mapping[int, int]] | None = None


class _Slot(msgspec.Struct):
    """What is known of one series in one slot."""

    count: int
    sum: float
    least: float
    most: float
    histogram: dict[int, int] | None

    @classmethod
    def of_sample(cls, sample: Sample) -> _Slot:
        if sample.histogram is None:
            return cls(1, sample.value, sample.value, sample.value, None)
        spread = Histogram(sample.histogram, sample.value)
        return cls(spread.count, sample.value, spread.least or 0.0, spread.most or 0.0, spread.counts)

    @classmethod
    def of_row(cls, row: Row) -> _Slot:
        counts = row["histogram"]
        histogram = msgspec.json.decode(counts, type=dict[int, int]) if counts is not None else None
        return cls(row["count"], row["sum"], row["least"], row["most"], histogram)

    def join(self, other: _Slot) -> None:
        self.count += other.count
        self.sum += other.sum
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        if other.histogram is not None:
            merged = Histogram(self.histogram)
            merged.merge(Histogram(other.histogram))
            self.histogram = merged.counts


_Slots = dict[tuple[int, float], _Slot]
"""By series and begin."""


class Series:
    """The recorded series of a directory."""

    def __init__(self, directory: Database, most: int = 20_000) -> None:
        """`most` series are taken."""
        self._directory = directory
        self._most = most
        self._ids: dict[Key, int] = {}

    async def store(self, at: float, samples: Sequence[Sample]) -> None:
        """Add the measurements of a moment to their slots, all or none. Raises as every write does."""
        if missing := {sample.key for sample in samples} - self._ids.keys():
            await self._number(missing)
        if missing - self._ids.keys():
            refusal = Unavailable(f"there are more than {self._most:,} series; remove rows of scaling_series")
            raise SERIES.over(refusal)
        begin = at // FINEST * FINEST
        slots: _Slots = {}
        for sample in samples:
            if sample.histogram is None or sample.histogram:
                _join(slots, (self._ids[sample.key], begin), _Slot.of_sample(sample))

        async def work(tx: Transaction) -> None:
            span = {"resolution": FINEST, "since": begin, "until": begin + FINEST}
            joined = {place: msgspec.structs.replace(slot) for place, slot in slots.items()}
            for row in await tx.read(QUERIES["take_slots"], span):
                if (row["series"], row["at"]) in joined:
                    _join(joined, (row["series"], row["at"]), _Slot.of_row(row))
            await _put(tx, FINEST, joined)

        if slots:
            await self._directory.write(work)

    async def fill(self, resolution: int, recorded: Mapping[Key, Slots]) -> None:
        """Record a past in slots of a level, in the place of what there is of them; in batches. Raises as `store`."""
        await self._number(recorded)
        for key, slots in recorded.items():
            columns = _columns(self._ids[key], slots)
            for first in range(0, len(slots.begins), _BATCH_ROWS):
                batch = {name: values[first : first + _BATCH_ROWS] for name, values in columns.items()}
                await self._directory.write(partial(_put_columns, resolution=resolution, columns=batch))

    async def keys(self) -> list[Key]:
        """Every series that was ever measured, in order."""
        await self._learn()
        return sorted(self._ids)

    async def read(self, key: Key, since: float, until: float, resolution: int | None = None) -> Readings:
        """A series from `since` to before `until`, in slots of `resolution` seconds.

        Without one, of the finest that all of that time is recorded in, by its age at `until`. Finer rows are joined;
        a coarser one holds for all its slots. Raises `Invalid` for too many slots.
        """
        step = resolution or level_of(until - since).resolution
        first = since // step * step
        count = max(0, math.ceil((until - first) / step))
        if count > _PLACES_LIMIT:
            raise Invalid(f"{count:,} slots of {step} s lie in that time; ask for a coarser resolution")
        sums, counts = np.zeros(count), np.zeros(count)
        most = np.full(count, np.nan)
        rows = await self._rows("read_samples", key, first - LEVELS[-1].resolution, until)
        for row in (row for row in rows if row["resolution"] <= step):
            place = int((row["at"] - first) // step)
            if 0 <= place < count:
                sums[place] += row["sum"]
                counts[place] += row["count"]
                most[place] = np.fmax(most[place], row["most"])
        with np.errstate(invalid="ignore"):
            values = np.where(counts > 0, sums / counts, np.nan)
        for row in (row for row in rows if row["resolution"] > step):
            begin, end = (math.ceil((row["at"] + more - first) / step) for more in (0, row["resolution"]))
            span = slice(max(0, begin), max(0, end))
            unknown = np.isnan(values[span])
            values[span] = np.where(unknown, row["sum"] / row["count"], values[span])
            most[span] = np.where(unknown, row["most"], most[span])
        times = first + np.arange(count, dtype=np.float64) * step
        return Readings(times, values, most, step)

    async def quantiles(self, key: Key, q: float, since: float, until: float, step: int) -> Readings:
        """A quantile of the durations of each slot of `step` seconds, NaN where there were none, as `read` has them."""
        first = since // step * step
        count = max(0, math.ceil((until - first) / step))
        if count > _PLACES_LIMIT:
            raise Invalid(f"{count:,} slots of {step} s lie in that time; ask for a shorter one")
        values = np.full(count, np.nan)
        joined: dict[int, Histogram] = defaultdict(Histogram)
        for row in await self._rows("read_histograms", key, first - LEVELS[-1].resolution, until):
            durations = Histogram(msgspec.json.decode(row["histogram"] or _NOTHING, type=dict[int, int]), row["sum"])
            begin = int((row["at"] - first) // step)
            for place in range(max(0, begin), min(count, begin + max(1, row["resolution"] // step))):
                joined[place].merge(durations)
        for place, durations in joined.items():
            found = durations.quantile(q)
            values[place] = np.nan if found is None else found
        times = first + np.arange(count, dtype=np.float64) * step
        return Readings(times, values, values, step)

    async def latest(self, key: Key, at: float) -> float | None:
        """The newest measurement (of durations the mean) of the 45 s before `at`; None where there is none."""
        number = await self._id(key)
        if number is None:
            return None
        row = await self._directory.one(QUERIES["read_latest"], {"series": number, "since": at - _LATEST_SECONDS})
        return row["sum"] / row["count"] if row is not None else None

    async def histogram(self, key: Key, since: float, until: float) -> Histogram:
        """All durations of the slots that begin in a time."""
        found = Histogram()
        for row in await self._rows("read_histograms", key, since, until):
            found.merge(Histogram(msgspec.json.decode(row["histogram"] or _NOTHING, type=dict[int, int]), row["sum"]))
        return found

    async def quantile(self, key: Key, q: float, since: float, until: float) -> float | None:
        """A quantile of the durations of a time, in seconds; None where there are none."""
        return (await self.histogram(key, since, until)).quantile(q)

    async def mean(self, key: Key, since: float, until: float) -> float | None:
        """The mean of a time, over all measurements in it; None where there are none."""
        rows = await self._rows("read_samples", key, since, until)
        count = sum(row["count"] for row in rows)
        return float(sum(row["sum"] for row in rows) / count) if count else None

    async def thin(self, at: float, batches: int = 20) -> int:
        """Join rows that are old enough into coarser ones, at most so many batches; how many were joined or dropped.

        Each batch is one transaction of about 1,500 rows. Two that thin at the same time do not disturb each other.
        """
        await self._learn()
        joined = 0
        for level, coarser in zip(LEVELS, (*LEVELS[1:], None), strict=True):
            while batches > 0:
                done = await self._thin(level, coarser, at)
                if not done:
                    break
                joined += done
                batches -= 1
        return joined

    async def _thin(self, level: Level, coarser: Level | None, at: float) -> int:
        """One batch of a level; how many rows it took, 0 where there was nothing to do."""
        width = coarser.resolution if coarser is not None else level.resolution
        limit = (at - level.kept) // width * width
        row = await self._directory.one(QUERIES["find_oldest"], {"resolution": level.resolution})
        if row is None or row["at"] is None or row["at"] >= limit:
            return 0
        begin = row["at"] // width * width
        rows_in_width = max(1, len(self._ids)) * width // level.resolution
        span = {
            "resolution": level.resolution,
            "since": begin,
            "until": min(limit, begin + width * max(1, _BATCH_ROWS // rows_in_width)),
        }

        async def work(tx: Transaction) -> int:
            # Deleted first: of two at the same time, the second finds nothing, and so adds nothing.
            rows = await tx.read(QUERIES["drop_slots"], span)
            if coarser is not None and rows:
                slots: _Slots = {}
                present = await tx.read(QUERIES["take_slots"], {**span, "resolution": width})
                for one in (*rows, *present):
                    _join(slots, (one["series"], one["at"] // width * width), _Slot.of_row(one))
                await _put(tx, width, slots)
            return len(rows)

        return await self._directory.write(work)

    async def _rows(self, query: str, key: Key, since: float, until: float) -> list[Row]:
        number = await self._id(key)
        if number is None:
            return []
        params = {"series": number, "since": float(since), "until": float(until), "limit": _ROWS_LIMIT}
        return await self._directory.scan(QUERIES[query], params)

    async def _id(self, key: Key) -> int | None:
        if key not in self._ids:
            await self._learn()
        return self._ids.get(key)

    async def _learn(self) -> None:
        rows = await self._directory.read(QUERIES["list_series"], {"limit": self._most})
        self._ids = {Key(row["component"], row["metric"], row["part"]): row["id"] for row in rows}

    async def _number(self, keys: Iterable[Key]) -> None:
        wanted = sorted(keys)
        columns = {name: [getattr(key, name) for key in wanted] for name in ("component", "metric", "part")}

        async def work(tx: Transaction) -> None:
            await tx.execute_columns(QUERIES["add_series"], columns)

        await self._directory.write(work)
        await self._learn()


def level_of(span: float) -> Level:
    """The finest level whose rows are kept for so many seconds."""
    return next((level for level in LEVELS if span <= level.kept), LEVELS[-1])


def _join(slots: _Slots, place: tuple[int, float], slot: _Slot) -> None:
    known = slots.get(place)
    if known is None:
        slots[place] = slot
    else:
        known.join(slot)


def _columns(number: int, slots: Slots) -> dict[str, list[Any]]:
    texts: list[str | None] = [None] * len(slots.begins)
    if slots.histograms is not None:
        texts = [msgspec.json.encode(dict(counts)).decode() for counts in slots.histograms]
    figures = {name: getattr(slots, name).tolist() for name in ("sum", "least", "most")}
    counts = [int(count) for count in slots.counts.tolist()]
    return {
        "series": [number] * len(texts), "at": slots.begins.tolist(), "count": counts, **figures, "histogram": texts,
    }  # fmt: skip


async def _put_columns(tx: Transaction, resolution: int, columns: dict[str, list[Any]]) -> None:
    await tx.execute_columns(QUERIES["put_slots"], columns, {"resolution": resolution})


async def _put(tx: Transaction, resolution: int, slots: Mapping[tuple[int, float], _Slot]) -> None:
    columns: dict[str, list[Any]] = defaultdict(list)
    for (series, begin), slot in sorted(slots.items(), key=lambda item: item[0]):
        columns["series"].append(series)
        columns["at"].append(float(begin))
        columns["count"].append(slot.count)
        for name in ("sum", "least", "most"):
            columns[name].append(float(getattr(slot, name)))
        text = msgspec.json.encode(slot.histogram).decode() if slot.histogram is not None else None
        columns["histogram"].append(text)
    await tx.execute_columns(QUERIES["put_slots"], columns, {"resolution": resolution})
