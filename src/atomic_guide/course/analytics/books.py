"""What a process keeps of courses between requests, brought up to date by what it stores itself.

A book is a form of a course's scores (columns for the whole page, standings for a course too large for one) with the
version of the gradebook that all of it has seen. Whoever stores a batch notes the version it made and whose scores it
changed. Where every version up to the newest was noted, only those students are read again; where another process has
stored something, or too much has changed, the course is.

Books are let go by bytes, those unused for longest first, and with them every name and number in them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Generic, Protocol, TypeVar

from atomic_guide.engines.data.placement import CourseKey

MOST_CHANGED = 1000
"""Students that are read one by one, 20 us each, where a course of 10,000 takes a second; for more all are read.
A book remembers no more."""


class Held(Protocol):
    """What a book holds."""

    @property
    def size(self) -> int:
        """Bytes in memory."""
        ...


H = TypeVar("H", bound=Held)


class Book(Generic[H]):
    """One course. `held` is None until it was read; notes that come meanwhile count.

    `lock` is for whoever brings it up to date; `at` is when that was last done.
    """

    def __init__(self, left_out: AbstractSet[str]) -> None:
        self.version = 0
        self.left_out = left_out
        self.held: H | None = None
        self.at = 0.0
        self.lock = asyncio.Lock()
        self._changes: dict[int, Collection[str]] = {}

    def note(self, version: int, users: Collection[str]) -> None:
        """A stored batch has made this version by changing scores of these students."""
        if len(users) + sum(map(len, self._changes.values())) <= MOST_CHANGED:
            self._changes[version] = users

    def changed_until(self, version: int) -> set[str] | None:
        """Whose scores differ from those that are held; None where that is not known."""
        users: set[str] = set()
        for number in range(self.version + 1, version + 1):
            if number not in self._changes:
                return None
            users.update(self._changes[number])
        return users

    def advance(self, version: int, held: H, at: float) -> None:
        """What is held has seen this version."""
        self.version, self.held, self.at = version, held, at
        self._changes = {number: users for number, users in self._changes.items() if number > version}


class Books(Generic[H]):
    """The books of one form, within a bound of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._books: OrderedDict[CourseKey, Book[H]] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return sum(book.held.size for book in self._books.values() if book.held is not None)

    def __len__(self) -> int:
        return len(self._books)

    def find(self, key: CourseKey) -> Book[H] | None:
        """The book of a course."""
        if key in self._books:
            self._books.move_to_end(key)
        return self._books.get(key)

    def begin(self, key: CourseKey, book: Book[H]) -> None:
        """Take a book in for a course, in place of any other."""
        self._books[key] = book
        self._books.move_to_end(key)

    def drop(self, key: CourseKey, book: Book[H]) -> None:
        """Let go of a book, unless another one has taken its place."""
        if self._books.get(key) is book:
            del self._books[key]

    def note(self, key: CourseKey, version: int, users: Collection[str]) -> None:
        """Tell the course's book of a stored batch."""
        book = self._books.get(key)
        if book is not None:
            book.note(version, users)

    def trim(self) -> None:
        """Let go of the books that were unused for longest, until the others are within the bound."""
        total = self.size
        while self._books and total > self._most:
            _, book = self._books.popitem(last=False)
            total -= book.held.size if book.held is not None else 0
