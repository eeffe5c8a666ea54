"""Sheets of scores for the benchmarks; every run has the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

HEADER = b"user,activity,score,max,at\n"
ACTIVITIES = 10


def blocks(rows: int, digits: int | None = 1, at_once: int = 100_000) -> Iterator[bytes]:
    """The lines of so many scores, `ACTIVITIES` of each student, as an LMS exports them: grades of `digits` decimals.

    None for `digits` gives 16 or 17, which no grade has and a mean may.
    """
    chance = random.Random(7)
    for start in range(0, rows, at_once):
        lines = []
        for number in range(start, min(rows, start + at_once)):
            student, activity = divmod(number, ACTIVITIES)
            grade = chance.random() * 20
            score = repr(grade) if digits is None else f"{grade:.{digits}f}"
            at = f"2025-{1 + activity:02d}-{1 + number % 28:02d}T10:{number % 60:02d}:00Z"
            lines.append(f"student-{student},Exercise {activity},{score},20,{at}\n")
        yield "".join(lines).encode()


def sheet(rows: int, digits: int | None = 1) -> bytes:
    """A whole sheet."""
    return HEADER + b"".join(blocks(rows, digits))


def write_sheet(path: Path, rows: int) -> Path:
    """A sheet of any size as a file."""
    with path.open("wb") as file:
        file.write(HEADER)
        file.writelines(blocks(rows))
    return path
