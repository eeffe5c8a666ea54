"""How a course does: figures for its instructors, and for each student what is theirs to see.

A student sees their own row. Figures about the others show only where at least `privacy_threshold` others are in
them, in the whole course and again in each activity; then the mean and percentiles are rounded to whole points, so
that a curve read before and after one hand-in does not give that score away. Rank and percentile are figures about
others, too.

Instructors' own scores are left out of every figure. A course's figures are remembered (`engines/cache`) as the page
that instructors get, ready to be sent. Each says which version of the gradebook, and of the course's people, it is made
of; both are counted in the transaction that changes them, and one row of the database is read for each call. So no
process shows what is older than its caller may see, whoever has changed it, and whether NATS is there or not. The
scores that figures are made of are kept too, and brought up to date by what this process stores itself (`ledger`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from atomic_guide.clock import Clock, iso
from atomic_guide.course.analytics.attempts import QUERIES
from atomic_guide.course.analytics.large import LargeCourses
from atomic_guide.course.analytics.ledger import AHEAD_SECONDS, Asked, Ledger
from atomic_guide.course.analytics.report import Report, Student, make_report, own_view
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.cache.keys import Key
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

__all__ = ["Performance", "Report", "Student", "make_report", "own_view"]

AT_ONCE = 2
"""Reports that a process makes at a time, of different courses; more would only wait for each other."""

STUDENTS_KEPT = 50_000
"""Students whose rows are kept in memory over all courses of a process; 0.6 kB each."""

SPACE: Final = "reports"

_MOST_SECONDS = 120.0
"""How long making a report may take: a million scores are read in a few seconds."""

_SAME_MOMENT = 0.1
"""Who waited for a report sees it, though none is kept."""

_PACKED_BYTES = 256 << 10
"""A longer page is kept packed, at an eighth of its size: it must fit into a message of NATS. About 700 students."""


class Made(msgspec.Struct, frozen=True):
    """A report as it is remembered: of which versions, when it was made (epoch seconds), and its page as JSON."""

    version: int
    updated_at: float
    people: int
    at: float
    page: bytes
    packed: bool = False

    def opened(self) -> bytes:
        """The page as it is sent."""
        return zlib.decompress(self.page) if self.packed else self.page


class _Book(NamedTuple):
    """What a course's gradebook says to a caller."""

    version: int
    updated_at: float
    people: int

    @property
    def moment(self) -> str | None:
        """When scores last came; None where there are none."""
        return iso(self.updated_at) if self.version else None


class _Opened(NamedTuple):
    made: Made
    report: Report
    by_user: dict[str, Student]


class Performance:
    """Makes reports, one at a time for a course and a few at a time in all, and has the recent ones remembered."""

    def __init__(self, shards: Shards, clock: Clock, settings: AnalyticsSettings, cache: Cache) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        seconds = max(settings.cache_seconds, _SAME_MOMENT)
        self.space = cache.space(
            SPACE, Made, memory_seconds=seconds, shared_seconds=seconds, load_seconds=_MOST_SECONDS
        )
        self._rules = f"{zlib.crc32(msgspec.json.encode(settings.rules)):08x}"
        self._opened: dict[CourseKey, _Opened] = {}
        self._making = asyncio.Semaphore(AT_ONCE)
        self.ledger = Ledger(shards, clock, settings.memory_bytes)
        self._large = LargeCourses(shards, clock, settings, self.ledger, STUDENTS_KEPT)

    async def page(self, key: CourseKey) -> bytes:
        """Every student's row, the best first, and the whole curve: a `Report` as JSON."""
        made = await self.made(key)
        return await asyncio.to_thread(made.opened) if made.packed else made.page

    async def for_instructor(self, key: CourseKey) -> Report:
        """The same as a value."""
        return (await self._open(key)).report

    async def for_student(self, key: CourseKey, user: str) -> Report:
        """The student's own row and scores, and the curve where enough others are in it."""
        if await self._large.includes(key):
            return await self._large.view(key, user)
        opened = await self._open(key)
        own = opened.by_user.get(user)
        rows = await self._shards.of(key).read(QUERIES["read_own_latest"], {**key.columns, "user": user})
        return own_view(opened.report, own, rows, self._settings.privacy_threshold)

    def note(self, key: CourseKey, version: int, users: Collection[str]) -> None:
        """Say that this process has stored scores of these students, which made a version of the gradebook."""
        self.ledger.note(key, version, users)

    def name(self, key: CourseKey) -> Key:
        """What the report of a course is called in the cache.

        Other rules make other reports, while a new configuration is rolled out.
        """
        return self.space.key(key.tenant, key.course, self._rules)

    async def made(self, key: CourseKey) -> Made:
        """The report of the scores and people as they are now."""
        book = await self._book(key)

        async def load() -> Made:
            return await self._make(key, book)

        made = await self.space.get(
            self.name(key), load, good=lambda found: found is not None and self._is_good(found, book)
        )
        if made is None:
            raise AssertionError("a course always has a report")
        return made

    async def _book(self, key: CourseKey) -> _Book:
        row = await self._shards.of(key).one(QUERIES["read_gradebook"], key.columns)
        return _Book(int(row["version"]), float(row["updated_at"]), int(row["people"])) if row else _Book(0, 0.0, 0)

    def _is_good(self, made: Made, book: _Book) -> bool:
        """Whether a report may be shown to one who knows what its gradebook says."""
        age = self._clock.now() - made.at
        if age > max(self._settings.cache_seconds, _SAME_MOMENT):
            return False
        if (made.version, made.updated_at, made.people) == book:
            return True
        # It is ahead where a replica lags, which passes; and for good where a backup has been put back.
        ahead = made.version >= book.version and made.people >= book.people
        return ahead and (made.version > book.version or made.updated_at == book.updated_at) and age <= AHEAD_SECONDS

    async def _open(self, key: CourseKey) -> _Opened:
        made = await self.made(key)
        opened = self._opened.get(key)
        if opened is None or opened.made != made:
            page = await asyncio.to_thread(made.opened) if made.packed else made.page
            opened = self._keep(key, made, msgspec.json.decode(page, type=Report))
        return opened

    def _keep(self, key: CourseKey, made: Made, report: Report) -> _Opened:
        self._opened.pop(key, None)
        total = sum(_weight(kept) for kept in self._opened.values())
        while self._opened and total > STUDENTS_KEPT:
            total -= _weight(self._opened.pop(next(iter(self._opened))))
        opened = _Opened(made, report, {student.user: student for student in report.students})
        self._opened[key] = opened
        return opened

    async def _make(self, key: CourseKey, book: _Book) -> Made:
        async with self._making:
            # As it is now, not when the caller asked: else each of those who wait would need a report of their own.
            book = max(book, await self._book(key))
            database = self._shards.of(key)
            people = await database.scan(QUERIES["read_people"], key.columns)
            teachers = frozenset(row["user"] for row in people if row["role"] == "instructor")
            gathered = await self.ledger.read_columns(Asked(key, book.version, teachers))
            names = {row["user"]: row["name"] for row in people if row["user"] not in teachers}
            rules, now = self._settings.rules, self._clock.now()
            report = await asyncio.to_thread(make_report, gathered, names, rules, now, book.moment)
            page, packed = await asyncio.to_thread(_paged, report)
            return Made(*book, self._clock.now(), page, packed)


def _paged(report: Report) -> tuple[bytes, bool]:
    page = msgspec.json.encode(report)
    # The quickest level: a page of 10,000 students takes 30 ms.
    return (zlib.compress(page, 1), True) if len(page) > _PACKED_BYTES else (page, False)


def _weight(kept: _Opened) -> int:
    return 50 + len(kept.by_user)
