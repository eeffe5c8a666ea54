"""Points of load tests: stored reports, a report's file, or a CSV file `concurrency,throughput`.

What says nothing of the system is left out, and told: points at which the tester did not keep to its times, or in which
more than one in twenty failed. A point's weight is by how much was counted in it: the throughput of a stretch of n
answers is off by 2% (what a machine varies by) and by 1/sqrt(n).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.usl import LEAST_POINTS, LEAST_VALUE, MOST_POINTS, MOST_VALUE, Point

_REPORTS = "*/report.json"
_REPORTS_MOST = 5
"""Reports that are joined where the newest one has too few steps."""
_LISTED_MOST = 1000
_BYTES_MOST = 20_000_000
_FAILED_MOST = 0.05
_VARIES = 0.02
_COLUMNS = ("concurrency", "throughput", "seconds")


class Taken(NamedTuple):
    """Points, where they are from, and what was left out and why."""

    points: list[Point]
    source: str
    left_out: list[str]

    @property
    def highest(self) -> float:
        """The highest throughput among them."""
        return max((point.throughput for point in self.points), default=0.0)


class _Point(msgspec.Struct):
    throughput: float
    concurrency: float
    seconds: float | None = None
    errors: float | None = None
    valid: bool = True


class _Report(msgspec.Struct):
    points: list[_Point]
    id: str = ""
    target: str = ""
    started_at: str = ""


def read_points(file: Path) -> Taken:
    """The points of a report (JSON) or a table (CSV). Raises `Invalid` naming the file, the line and the reason."""
    text = _text(file)
    if text.lstrip().startswith("{"):
        return _of_reports([_report(text, file.name)], file.name)
    return Taken(_of_lines(text.splitlines(), file.name), file.name, [])


def stored_points(folder: Path) -> Taken | None:
    """The points of the newest stored load test, with earlier ones of its target where it has too few steps.

    None where none is stored; a report that cannot be read is left out, and told.
    """
    files = sorted(folder.glob(_REPORTS), key=lambda file: file.stat().st_mtime, reverse=True)[:_LISTED_MOST]
    chosen: list[_Report] = []
    broken: list[str] = []
    for file in files:
        try:
            report = _report(_text(file), f"{file.parent.name}/{file.name}")
        except Invalid as error:
            broken.append(error.message)
            continue
        if chosen and report.target != chosen[0].target:
            continue
        chosen.append(report)
        enough = len({point.concurrency for point in _sound(chosen)[0]}) >= LEAST_POINTS
        if enough or len(chosen) == _REPORTS_MOST:
            break
    if not chosen:
        return None
    found = _of_reports(chosen, ", ".join(report.id or "a load test" for report in chosen))
    return found._replace(left_out=[*found.left_out, *broken])


def _text(file: Path) -> str:
    try:
        with file.open("rb") as content:
            held = content.read(_BYTES_MOST + 1)
        if len(held) > _BYTES_MOST:
            raise Invalid(f"{file.name} has over {_BYTES_MOST:,} bytes; it is no report of a load test")
        return held.decode("utf-8-sig")
    except OSError as error:
        raise Invalid(f"{file.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file.name} is no text in UTF-8") from error


def _report(text: str, name: str) -> _Report:
    try:
        return msgspec.json.decode(text, type=_Report)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"{name} is no report of a load test: {error}") from error


def _of_reports(reports: list[_Report], source: str) -> Taken:
    points, left_out = _sound(reports)
    if len(points) > MOST_POINTS:
        raise Invalid(f"{source}: {len(points):,} points are more than {MOST_POINTS:,}")
    if not points and left_out:
        raise Invalid(f"{source}: no point says anything of the system; {left_out[0]}")
    return Taken(points, source, left_out)


def _sound(reports: Iterable[_Report]) -> tuple[list[Point], list[str]]:
    points: list[Point] = []
    left_out: list[str] = []
    for report in reports:
        for number, point in enumerate(report.points, 1):
            why = _fault(point)
            if why:
                left_out.append(f"{report.id or 'report'}, point {number}: {why}")
            else:
                points.append(Point(point.concurrency, point.throughput, _weight(point.throughput, point.seconds)))
    return points, left_out


def _fault(point: _Point) -> str:
    if not point.valid:
        return "the tester was the limit, so that it says nothing of the system; test with more testers"
    if point.errors is not None and point.errors > _FAILED_MOST:
        return f"{point.errors:.0%} failed: beyond what the system bears"
    if not all(LEAST_VALUE <= value <= MOST_VALUE for value in (point.concurrency, point.throughput)):
        return f"concurrency {point.concurrency:g} and throughput {point.throughput:g} must both be over 0"
    return ""


def _weight(throughput: float, seconds: float | None) -> float:
    if not seconds or seconds <= 0 or not math.isfinite(seconds):
        return 1.0
    return _VARIES**2 / (_VARIES**2 + 1 / (throughput * seconds))


def _of_lines(lines: list[str], name: str) -> list[Point]:
    rows = csv.reader(lines)
    header = [column.strip().lower() for column in next(rows, [])]
    if header[:2] != list(_COLUMNS[:2]) or header[2:] not in ([], ["seconds"]):
        raise Invalid(f"{name}, line 1: the header is concurrency,throughput, not {','.join(header)[:60] or 'empty'}")
    points: list[Point] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(points) == MOST_POINTS:
            raise Invalid(f"{name}, line {number}: there are more than {MOST_POINTS:,} points")
        values: list[Any] = [_number(text, name, number, column) for text, column in zip(row, _COLUMNS, strict=False)]
        if len(values) < 2:  # noqa: PLR2004 - both columns
            raise Invalid(f"{name}, line {number}: there is no throughput")
        points.append(Point(values[0], values[1], _weight(values[1], values[2] if len(values) > 2 else None)))  # noqa: PLR2004 - seconds
    return points


def _number(text: str, name: str, line: int, column: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise Invalid(f"{name}, line {line}: {text[:40]!r} is no {column}") from error
    if not LEAST_VALUE <= value <= MOST_VALUE:
        raise Invalid(
            f"{name}, line {line}: {column} must be a number from {LEAST_VALUE:g} to {MOST_VALUE:g}, not"
            f" {text[:40].strip()}"
        )
    return value
