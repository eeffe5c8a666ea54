"""The scores of courses in memory: columns for the page of a course, standings for one that is too large for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from atomic_guide.clock import Clock
from atomic_guide.course.analytics.attempts import Gathered, gather, read_pages, read_students
from atomic_guide.course.analytics.books import Book, Books, H
from atomic_guide.course.analytics.figures import Doubles
from atomic_guide.course.analytics.standings import Standings, numbers_of
from atomic_guide.engines.data.database import Database, Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

AHEAD_SECONDS = 60.0
"""How long a book may be ahead of the database: a replica that lags is soon past that, a backup put back never is."""


class Asked(NamedTuple):
    """A course as of a version of its gradebook or a newer one, without some users' scores."""

    key: CourseKey
    version: int
    left_out: AbstractSet[str]


class Ledger:
    """Keeps courses up to date within a bound of bytes for each of the two forms."""

    def __init__(self, shards: Shards, clock: Clock, most_bytes: int) -> None:
        self._shards = shards
        self._clock = clock
        self.columns: Books[Gathered] = Books(most_bytes)
        self.standings: Books[Standings] = Books(most_bytes)

    def note(self, key: CourseKey, version: int, users: Collection[str]) -> None:
        """A stored batch has made this version of a course's gradebook by changing scores of these students."""
        self.columns.note(key, version, users)
        self.standings.note(key, version, users)

    async def read_columns(self, asked: Asked) -> Gathered:
        """A course by column."""
        database = self._shards.of(asked.key)

        async def whole() -> tuple[Gathered, int]:
            return await gather(database, asked.key, asked.left_out)

        async def part(held: Gathered, users: set[str], rows: list[Row]) -> Gathered:
            return await asyncio.to_thread(held.replaced, users, rows)

        return await self._read(self.columns, asked, whole, part)

    async def read_standings(self, asked: Asked) -> Standings:
        """Who stands where in a course."""
        database = self._shards.of(asked.key)

        async def whole() -> tuple[Standings, int]:
            return await make_standings(database, asked.key, asked.left_out)

        async def part(held: Standings, users: set[str], rows: list[Row]) -> Standings:
            held.change(users, *_means(rows, asked.left_out))
            return held

        return await self._read(self.standings, asked, whole, part)

    async def _read(
        self,
        books: Books[H],
        asked: Asked,
        whole: Callable[[], Awaitable[tuple[H, int]]],
        part: Callable[[H, set[str], list[Row]], Awaitable[H]],
    ) -> H:
        book = books.find(asked.key)
        if book is not None and self._is_good(book, asked):
            async with book.lock:
                known = await self._bring_up(book, asked, part)
            if known is not None:
                books.trim()
                return known
        # In its place before anything is read: what is stored meanwhile is noted in it.
        book = Book[H](asked.left_out)
        books.begin(asked.key, book)
        async with book.lock:
            try:
                held, version = await whole()
            except BaseException:
                books.drop(asked.key, book)
                raise
            book.advance(version, held, self._clock.monotonic())
        books.trim()
        return held

    def _is_good(self, book: Book[H], asked: Asked) -> bool:
        ahead = asked.version < book.version and self._clock.monotonic() - book.at > AHEAD_SECONDS
        return book.left_out == asked.left_out and not ahead

    async def _bring_up(
        self, book: Book[H], asked: Asked, part: Callable[[H, set[str], list[Row]], Awaitable[H]]
    ) -> H | None:
        """What a book holds, as of the version; None where the whole course must be read."""
        users = book.changed_until(asked.version)
        if book.held is None or users is None:
            return None
        if not users:
            return book.held
        pages = await read_students(self._shards.of(asked.key), asked.key, users)
        if pages.version is None or pages.version < asked.version:
            # A replica that lags, or nobody of them has a score any more.
            return None
        held = await part(book.held, users, pages.rows)
        book.advance(asked.version, held, self._clock.monotonic())
        return held


async def make_standings(
    database: Database, key: CourseKey, left_out: AbstractSet[str], watch: Callable[[int], None] | None = None
) -> tuple[Standings, int]:
    """The standings of a course, read page by page, and the version that all of them have seen.

    `watch` is told how many rows were read.
    """
    parts, versions, rows = [], set[int](), 0
    async for page in read_pages(database, key):
        rows += len(page.rows)
        if watch is not None:
            watch(rows)
        users, means = await asyncio.to_thread(_means, page.rows, left_out)
        parts.append((numbers_of(users), means))
        if page.version is not None:
            versions.add(page.version)
    return await asyncio.to_thread(Standings.of, parts), min(versions, default=0)


def _means(rows: list[Row], left_out: AbstractSet[str]) -> tuple[list[str], Doubles]:
    gathered = Gathered(left_out)
    gathered.add(rows)
    return gathered.means()
