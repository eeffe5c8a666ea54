"""How a course does: figures for its instructors, and for each student what is theirs to see.

A student sees their own row. Figures about the others show only where at least `privacy_threshold` others are in
them, in the whole course and again in each activity; then the mean and percentiles are rounded to whole points, so
that a curve read before and after one hand-in does not give that score away. Rank and percentile are figures about
others, too.

Instructors' own scores are left out of every figure. A course's figures are kept in memory under the version of its
gradebook, which every stored batch raises in the same transaction, so that no process shows old scores. The scores
that they are made of are kept too, and brought up to date by what this process stores itself (`ledger`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from atomic_guide.clock import Clock, iso
from atomic_guide.course.analytics.attempts import QUERIES
from atomic_guide.course.analytics.large import LargeCourses
from atomic_guide.course.analytics.ledger import Asked, Ledger
from atomic_guide.course.analytics.report import Report, Student, make_report, own_view
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

__all__ = ["Performance", "Report", "Student", "make_report", "own_view"]

AT_ONCE = 2
"""Reports that a process makes at a time, of different courses; more would only wait for each other."""

TURNS = 3
"""Older reports of a course that a caller lets finish before one is begun for them, while scores stream in."""

STUDENTS_KEPT = 50_000
"""Students whose rows are kept in memory over all courses of a process; 0.6 kB each."""


class Made(NamedTuple):
    """A report, its rows by student, and when it was made."""

    report: Report
    by_user: dict[str, Student]
    at: float


class _Kept(NamedTuple):
    version: int
    task: asyncio.Task[Made]


class Performance:
    """Makes reports, one at a time for a course and a few at a time in all, and keeps the recent ones."""

    def __init__(self, shards: Shards, clock: Clock, settings: AnalyticsSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._kept: dict[CourseKey, _Kept] = {}
        self._making = asyncio.Semaphore(AT_ONCE)
        self.ledger = Ledger(shards, clock, settings.memory_bytes)
        self._large = LargeCourses(shards, clock, settings, self.ledger, STUDENTS_KEPT)

    async def for_instructor(self, key: CourseKey) -> Report:
        """Every student's row, the best first, and the whole curve."""
        return (await self._made(key)).report

    async def for_student(self, key: CourseKey, user: str) -> Report:
        """The student's own row and scores, and the curve where enough others are in it."""
        if await self._large.includes(key):
            return await self._large.view(key, user)
        made = await self._made(key)
        own = made.by_user.get(user)
        rows = await self._shards.of(key).read(QUERIES["read_own_attempts"], {**key.columns, "user": user})
        return own_view(made.report, own, rows, self._settings.privacy_threshold)

    def note(self, key: CourseKey, version: int, users: Collection[str]) -> None:
        """Say that this process has stored scores of these students, which made a version of the gradebook."""
        self.ledger.note(key, version, users)

    async def _made(self, key: CourseKey) -> Made:
        """The report of the scores as they are now."""
        book = await self._shards.of(key).one(QUERIES["read_gradebook"], key.columns)
        version = int(book["version"]) if book else 0
        kept = self._kept.get(key)
        for _ in range(TURNS):
            if kept is None or kept.task.done() or kept.version >= version:
                break
            # Older scores are being reckoned up; a second reckoning beside it would make both late.
            await asyncio.wait([kept.task])
            kept = self._kept.get(key)
        if kept is None or not self._is_good(kept, version):
            kept = self._begin(key, version, iso(book["updated_at"]) if book else None)
        # Shielded: whoever asked first may hang up while others wait for the same figures.
        return await asyncio.shield(kept.task)

    def _is_good(self, kept: _Kept, version: int) -> bool:
        """Whether a report, finished or not, may be shown for a version of the gradebook."""
        if kept.version < version:
            return False
        if not kept.task.done():
            return True
        if kept.task.cancelled() or kept.task.exception() is not None:
            return False
        return self._clock.monotonic() - kept.task.result().at < self._settings.cache_seconds

    def _begin(self, key: CourseKey, version: int, updated_at: str | None) -> _Kept:
        self._kept.pop(key, None)
        self._forget_oldest()
        kept = self._kept[key] = _Kept(version, asyncio.create_task(self._make(key, version, updated_at)))
        return kept

    def _forget_oldest(self) -> None:
        total = sum(_weight(kept) for kept in self._kept.values())
        while self._kept and total > STUDENTS_KEPT:
            total -= _weight(self._kept.pop(next(iter(self._kept))))

    async def _make(self, key: CourseKey, version: int, updated_at: str | None) -> Made:
        async with self._making:
            database = self._shards.of(key)
            people = await database.scan(QUERIES["read_people"], key.columns)
            teachers = frozenset(row["user"] for row in people if row["role"] == "instructor")
            gathered = await self.ledger.read_columns(Asked(key, version, teachers))
            names = {row["user"]: row["name"] for row in people if row["user"] not in teachers}
            rules, now = self._settings.rules, self._clock.now()
            report = await asyncio.to_thread(make_report, gathered, names, rules, now, updated_at)
            return Made(report, {student.user: student for student in report.students}, self._clock.monotonic())


def _weight(kept: _Kept) -> int:
    done = kept.task.done() and not kept.task.cancelled() and kept.task.exception() is None
    return 50 + (len(kept.task.result().by_user) if done else 0)
