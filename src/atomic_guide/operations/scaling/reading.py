"""Reading recorded demand from CSV: `timestamp,value` lines."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.trace import Trace, regular

_TIMES = "write ISO 8601, such as 2026-09-01T08:00:00Z, or seconds since 1970"


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """The trace of a CSV file with the header `timestamp,value`; in any order, equal times are averaged.

    An empty, infinite or negative value, and what the file leaves out, is missing. Raises `Invalid` naming the line.
    """
    rows = csv.reader(lines)
    header = [column.strip().lower() for column in next(rows, [])]
    if header[:2] != ["timestamp", "value"]:
        raise Invalid(f"{name}: the first line must be timestamp,value, not {','.join(header) or 'empty'}")
    times: list[float] = []
    values: list[float] = []
    for number, row in enumerate(rows, 2):
        if row:
            times.append(_time(row[0], name, number))
            values.append(_value(row[1] if len(row) > 1 else "", name, number))
    if len(times) < 2:  # noqa: PLR2004 - two make a step
        raise Invalid(f"{name}: a trace has at least two lines after its header")
    return regular(np.array(times), np.array(values), name)


def _time(text: str, name: str, line: int) -> float:
    try:
        moment = float(text)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise Invalid(f"{name}, line {line}: {text[:40]!r} is no timestamp; {_TIMES}") from error
        moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(moment):
        raise Invalid(f"{name}, line {line}: {text[:40]!r} is no timestamp; {_TIMES}")
    return moment


def _value(text: str, name: str, line: int) -> float:
    if not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise Invalid(f"{name}, line {line}: {text[:40]!r} is no number; leave a missing value empty") from error
    return value if math.isfinite(value) and value >= 0 else math.nan
