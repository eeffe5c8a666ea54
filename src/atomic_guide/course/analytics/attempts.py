"""A course's attempts, read page by page into arrays.

Half a million rows held at once as objects would make each collection of garbage stop the whole process for a tenth
of a second, and with it every socket of a room. A page of 10,000 is turned into numbers and let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from atomic_guide.course.analytics.figures import Doubles, Whole
from atomic_guide.engines.data.database import Database, Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)

PAGE = 10_000
"""Rows of a page; it grows where one student has more, since a student's rows stay together."""


class Gathered:
    """Attempts by column. Rows of a student stand together, by activity, the latest of each last."""

    def __init__(self, left_out: AbstractSet[str] = frozenset()) -> None:
        self.users: list[str] = []
        self.titles: list[str] = []
        self._left_out = left_out
        self._users: dict[str, int] = {}
        self._titles: dict[str, int] = {}
        self._pages: list[tuple[Whole, Whole, Doubles, Doubles]] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Take the next rows of `read_attempts`."""
        if self._left_out:
            rows = [row for row in rows if row["user"] not in self._left_out]
        student = _places([row["user"] for row in rows], self._users, self.users)
        activity = _places([row["activity"] for row in rows], self._titles, self.titles)
        share = np.array([row["share"] for row in rows], np.float64)
        self._pages.append((student, activity, share, np.array([row["at"] for row in rows], np.float64)))

    def columns(self) -> tuple[Whole, Whole, Doubles, Doubles]:
        """Places in `users`, places in `titles`, shares, times."""
        student, activity, share, at = zip(*self._pages, strict=True)
        return np.concatenate(student), np.concatenate(activity), np.concatenate(share), np.concatenate(at)


async def gather(database: Database, key: CourseKey, left_out: AbstractSet[str]) -> Gathered:
    """Every attempt of a course but those of `left_out`.

    The pages are no snapshot. What changes meanwhile raises the gradebook's version, so that nobody keeps the result.
    """
    gathered, after, limit = Gathered(left_out), "", PAGE
    while True:
        rows = await database.scan(QUERIES["read_attempts"], {**key.columns, "after": after, "limit": limit})
        last = rows[-1]["user"] if rows else ""
        whole = rows
        if len(rows) == limit:
            # The last student's rows may go on in the next page: it begins with them.
            whole = await asyncio.to_thread(_without, rows, last)
            if not whole:
                limit *= 2
                continue
        await asyncio.to_thread(gathered.add, whole)
        if len(rows) < limit:
            return gathered
        after, limit = whole[-1]["user"], PAGE


def _without(rows: list[Row], last: str) -> list[Row]:
    end = len(rows)
    while end and rows[end - 1]["user"] == last:
        end -= 1
    return rows[:end]


def _places(names: list[str], known: dict[str, int], ordered: list[str]) -> Whole:
    """The place of each name among those known so far; new ones are added."""
    for name in dict.fromkeys(names):
        if name not in known:
            known[name] = len(ordered)
            ordered.append(name)
    return np.array([known[name] for name in names], np.int64)
