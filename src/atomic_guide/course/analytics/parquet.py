"""Parquet files of scores, read a batch of rows at a time; needs the extra `parquet` (pyarrow).

Columns are named as in CSV, in any order; others are not read. Texts may be whole numbers, scores and maxima any kind
of number, times timestamps (without a zone they are UTC), dates or ISO 8601 text. Values stay exact: a double comes out
as it is stored, and of a `float32` exactly what it has left of the score.

As in the CSV reader, a whole batch is looked at by column, and each row that does not surely pass is checked alone.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from atomic_guide import errors
from atomic_guide.course.analytics.columns import Columns, Mark, Read, from_rows, joined
from atomic_guide.course.analytics.figures import Doubles, Flags
from atomic_guide.course.analytics.forms import checked
from atomic_guide.course.analytics.scores import FIELDS, FUTURE_SECONDS, REQUIRED, TEXT_LIMIT, WIDE_LIMIT

BATCH = 10_000
"""Rows of a batch; some 2 MB as columns."""

_BUFFER = 256 * 1024
"""Bytes that are read at once of each column, so that a file of a single huge row group takes no more."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
_DAY = 86_400
_TEXTS = ("user", "activity", "id")


class Parquet:
    """A reader of one file; `mark` counts rows. Raises `Invalid` where the file cannot be used."""

    def __init__(self, path: Path, now: float, mark: Mark) -> None:
        self._name = path.name
        self._now = now
        self.mark = mark
        self._arrow, parquet = _pyarrow()
        self._failures = (self._arrow.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._file = parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        except self._failures as error:
            raise self._invalid(error) from error
        self.size = int(self._file.metadata.num_rows)
        self._stored = self._find_columns()
        self._batches = self._rest()

    def next(self) -> Read | None:
        """The next rows, None at the end."""
        try:
            batch = next(self._batches, None)
            if batch is None:
                return None
            read = self._read(batch)
        except self._failures as error:
            raise self._invalid(error) from error
        self.mark = Mark(self.mark.offset + batch.num_rows, self.mark.line + batch.num_rows)
        return read

    def close(self) -> None:
        """Let go of the file."""
        self._batches.close()
        self._file.close()

    def _invalid(self, error: Exception) -> errors.Invalid:
        return errors.Invalid(f"{self._name} cannot be read as Parquet: {error}")

    def _find_columns(self) -> dict[str, str]:
        """What the file calls each of our columns."""
        stored = list(self._file.schema_arrow.names)
        names = [name.strip().lower() for name in stored]
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise errors.Invalid(f"{self._name} lacks the columns {', '.join(missing)}; it needs {', '.join(REQUIRED)}")
        twice = sorted({name for name in FIELDS if names.count(name) > 1})
        if twice:
            raise errors.Invalid(f"{self._name} has the columns {' and '.join(twice)} twice")
        return {name: stored[names.index(name)] for name in FIELDS if name in names}

    def _rest(self) -> Generator[Any, None, None]:
        """Batches of the rows after the mark."""
        start = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            skip = max(0, self.mark.offset - start)
            start += rows
            if skip >= rows:
                continue
            batches = self._file.iter_batches(BATCH, row_groups=[group], columns=list(self._stored.values()))
            for batch in batches:
                if skip < batch.num_rows:
                    yield batch.slice(skip)
                skip = max(0, skip - batch.num_rows)

    def _read(self, batch: Any) -> Read:
        columns = {name: self._plain(name, batch.column(stored)) for name, stored in self._stored.items()}
        texts, good = {}, np.ones(batch.num_rows, np.bool_)
        for name in _TEXTS:
            texts[name], read = self._texts(columns.get(name), batch.num_rows, optional=name == "id")
            good &= read
        (score, maximum, at), numbers_read = self._numbers([columns[name] for name in ("score", "max", "at")])
        with np.errstate(invalid="ignore"):
            good &= numbers_read & (maximum > 0) & (score >= 0) & (score <= maximum) & np.isfinite(maximum)
            good &= (at >= 0) & (at <= self._now + FUTURE_SECONDS)
        line = np.arange(batch.num_rows) + self.mark.line + 1
        # -0.0 would be another value than 0.0 to a reader.
        found = Columns(line, texts["user"], texts["activity"], score + 0.0, maximum, at, texts["id"]).only(good)
        alone = from_rows(
            checked(int(line[place]), self._fields(columns, place, float(at[place])), self._now)
            for place in np.flatnonzero(~good).tolist()
        )
        if not alone.columns.rows:
            return Read(found, alone.rejected)
        return Read(joined([found, alone.columns]).in_order(), alone.rejected)

    def _fields(self, columns: dict[str, Any], place: int, at: float) -> dict[str, Any]:
        """A row as the check of single rows takes it."""
        fields = {name: columns[name][place].as_py() for name in columns if name != "at"}
        time = columns["at"]
        if self._unit(time.type) in (None, ""):
            return {**fields, "at": time[place].as_py()}
        return {**fields, "at": _moment(at) if time[place].is_valid else None}

    def _plain(self, name: str, column: Any) -> Any:
        """A column without encodings, and one of texts without whole numbers."""
        types = self._arrow.types
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if types.is_integer(column.type) and name in _TEXTS:
            return column.cast(self._arrow.string())
        if types.is_decimal(column.type):
            # Arrow's own conversion to doubles does not always round to the nearest.
            values = [None if value is None else float(value) for value in column.to_pylist()]
            return self._arrow.array(values, self._arrow.float64())
        return column

    def _texts(self, column: Any, rows: int, *, optional: bool) -> tuple[list[str], Flags]:
        """A column of texts, and which of them can surely be taken."""
        types = self._arrow.types
        if column is None:
            return [""] * rows, np.ones(rows, np.bool_)
        if not (types.is_string(column.type) or types.is_large_string(column.type) or types.is_null(column.type)):
            return [""] * rows, np.zeros(rows, np.bool_)
        written = column.fill_null("").to_pylist() if column.null_count < rows else [""] * rows
        texts = [text.strip() for text in written]
        good = [
            (0 < len(text) <= (TEXT_LIMIT if text.isascii() else WIDE_LIMIT) and text.isprintable())
            or (optional and not original)
            for text, original in zip(texts, written, strict=True)
        ]
        return texts, np.array(good, np.bool_)

    def _numbers(self, columns: list[Any]) -> tuple[list[Doubles], Flags]:
        """Scores, maxima and times, and the rows in which all are there as numbers."""
        good = np.ones(len(columns[0]), np.bool_)
        numbers = []
        for column in columns:
            unit = self._unit(column.type)
            if unit is None:
                numbers.append(np.zeros(len(column)))
                good[:] = False
                continue
            good &= np.asarray(column.is_valid())
            integers = self._arrow.types.is_temporal(column.type)
            if integers:
                width = self._arrow.int32() if column.type.bit_width == np.int32().nbytes * 8 else self._arrow.int64()
                column = column.cast(width)  # noqa: PLW2901 - the same column, as the numbers that stand for it
            values = column.fill_null(0).to_numpy(zero_copy_only=False)
            numbers.append(_seconds(values, unit) if integers else values.astype(np.float64))
        return numbers, good

    def _unit(self, kind: Any) -> str | None:
        """What a column counts in, None where it holds no numbers."""
        types = self._arrow.types
        if types.is_timestamp(kind):
            return str(kind.unit)
        if types.is_date32(kind):
            return "day"
        return "" if types.is_integer(kind) or types.is_floating(kind) else None


def _seconds(values: Any, unit: str) -> Doubles:
    """Seconds since 1970, rounded once; what is finer than a microsecond is cut off, as in every other form."""
    if unit == "day":
        return np.asarray(values * float(_DAY))
    if unit == "ns":
        values, unit = values // 1000, "us"
    return np.asarray(values / _PER_SECOND[unit])


def _moment(seconds: float) -> str:
    """A time as text; one that no calendar has comes as its number, which is no time to the check either."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    """The library. Raises `Invalid` where it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, which weighs more than all the rest
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ImportError as error:
        raise errors.Invalid(
            "reading Parquet needs pyarrow; install the extra: pip install 'atomic-guide[parquet]'"
        ) from error
    return pa, parquet
