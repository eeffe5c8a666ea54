"""A course's attempts, read page by page into arrays, and kept up to date student by student.

Half a million rows held at once as objects would make each collection of garbage stop the whole process for a tenth
of a second, and with it every socket of a room. A page of 10,000 is turned into numbers and let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from atomic_guide.course.analytics import figures
from atomic_guide.course.analytics.figures import Doubles, Whole
from atomic_guide.engines.data.database import Database, Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)

PAGE = 10_000
"""Rows of a page; it grows where one student has more, since a student's rows stay together."""

_Places = NDArray[np.int32]


class _Page(NamedTuple):
    student: _Places
    activity: _Places
    share: Doubles
    at: Doubles


class Gathered:
    """The latest attempts by column. Rows of a student stand together, by activity."""

    def __init__(self, left_out: AbstractSet[str] = frozenset()) -> None:
        self.users: list[str] = []
        self.titles: list[str] = []
        self._left_out = left_out
        self._users: dict[str, int] = {}
        self._titles: dict[str, int] = {}
        self._pages: list[_Page] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Take the next rows of `read_attempts` or `read_latest_of`: of each student all, of which the last count."""
        if self._left_out:
            rows = [row for row in rows if row["user"] not in self._left_out]
        student = _places([row["user"] for row in rows], self._users, self.users)
        activity = _places([row["activity"] for row in rows], self._titles, self.titles)
        share = np.array([row["share"] for row in rows], np.float64)
        at = np.array([row["at"] for row in rows], np.float64)
        last = figures.last_rows(student, activity)
        self._pages.append(_Page(student[last], activity[last], share[last], at[last]))

    def columns(self) -> tuple[Whole, Whole, Doubles, Doubles]:
        """Places in `users`, places in `titles`, shares, times; both lists are in order from now on."""
        self.settle()
        page = self._pages[0]
        return page.student.astype(np.int64), page.activity.astype(np.int64), page.share, page.at

    def settle(self) -> None:
        """Join the pages, forget names that no row has any more, and put the others in order.

        So the figures of a course do not depend on the way its rows came: activities of one date stand by name.
        """
        student, activity, share, at = (np.concatenate(column) for column in zip(*self._pages, strict=True))
        student, self.users = _ordered(student, self.users)
        activity, self.titles = _ordered(activity, self.titles)
        self._users, self._titles = {}, {}
        self._pages = [_Page(student, activity, share, at)]

    def means(self) -> tuple[list[str], Doubles]:
        """Students with a score, and their means."""
        if not any(len(page.student) for page in self._pages):
            return [], np.zeros(0)
        self.settle()
        student, activity, share, _ = self.columns()
        places, means = figures.means(student, activity, share)
        return [self.users[place] for place in places.tolist()], means

    def replaced(self, users: Collection[str], rows: Sequence[Row]) -> Gathered:
        """The same with other rows for some students: all that they have now. Settled, as this one must be."""
        known = {user: place for place, user in enumerate(self.users)}
        page = self._pages[0]
        stay = ~np.isin(page.student, [known[user] for user in users if user in known])
        new = Gathered(self._left_out)
        new.users, new.titles, new._users = list(self.users), list(self.titles), known
        new._titles = {title: place for place, title in enumerate(self.titles)}
        new._pages = [_Page(page.student[stay], page.activity[stay], page.share[stay], page.at[stay])]
        new.add(rows)
        new.settle()
        return new

    @property
    def size(self) -> int:
        """Bytes in memory, about: the columns, and the students' names at 80 bytes each."""
        return sum(column.nbytes for page in self._pages for column in page) + 80 * len(self.users)


class Pages(NamedTuple):
    """Rows of whole students, and the gradebook's version that their statement saw, None where there are no rows."""

    rows: list[Row]
    version: int | None


async def read_pages(database: Database, key: CourseKey) -> AsyncIterator[Pages]:
    """Every attempt of a course, by student.

    The pages are no snapshot, but each says what it has seen: what changed after the oldest of them is not in all.
    """
    after, limit = "", PAGE
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
        yield Pages(whole, _version(whole))
        if len(rows) < limit:
            return
        after, limit = whole[-1]["user"], PAGE


async def read_students(database: Database, key: CourseKey, users: Collection[str]) -> Pages:
    """The latest attempts of some students, in each activity."""
    found = await database.read_each(
        QUERIES["read_latest_of"], [{**key.columns, "user": user} for user in sorted(users)]
    )
    rows = [row for own in found for row in own]
    return Pages(rows, _version(rows))


async def gather(database: Database, key: CourseKey, left_out: AbstractSet[str]) -> tuple[Gathered, int]:
    """The latest attempts of a course, without those of `left_out`, and the gradebook's version that all have seen."""
    gathered, versions = Gathered(left_out), set[int]()
    async for page in read_pages(database, key):
        await asyncio.to_thread(gathered.add, page.rows)
        if page.version is not None:
            versions.add(page.version)
    await asyncio.to_thread(gathered.settle)
    return gathered, min(versions, default=0)


def _version(rows: Sequence[Row]) -> int | None:
    return min((int(row["version"]) for row in rows), default=None)


def _without(rows: list[Row], last: str) -> list[Row]:
    end = len(rows)
    while end and rows[end - 1]["user"] == last:
        end -= 1
    return rows[:end]


def _places(names: list[str], known: dict[str, int], ordered: list[str]) -> _Places:
    """The place of each name among those known so far; new ones are added."""
    for name in dict.fromkeys(names):
        if name not in known:
            known[name] = len(ordered)
            ordered.append(name)
    return np.array([known[name] for name in names], np.int32)


def _ordered(places: Any, names: list[str]) -> tuple[_Places, list[str]]:
    """The names that are in use, in order, and the places in that."""
    used = np.bincount(places, minlength=len(names)) > 0
    kept = list(compress(names, used.tolist()))
    order = sorted(range(len(kept)), key=kept.__getitem__)
    new = np.empty(len(kept), np.int32)
    new[order] = np.arange(len(kept), dtype=np.int32)
    by_old = np.zeros(len(names), np.int32)
    by_old[used] = new
    return cast("_Places", by_old[places]), [kept[place] for place in order]
