"""Readers: what bytes of a form become, as they come in."""

from __future__ import annotations

from typing import Literal, Protocol

from atomic_guide.course.analytics.columns import Mark, Read
from atomic_guide.course.analytics.ndjson import Ndjson
from atomic_guide.course.analytics.sheet import Sheet

TextForm = Literal["csv", "ndjson"]


class Reader(Protocol):
    """Takes pieces of any size and returns the rows that they complete; holds a record of the input at most."""

    @property
    def mark(self) -> Mark:
        """How far everything has been returned."""
        ...

    def resume(self, head: bytes, mark: Mark) -> None:
        """Go on at the mark of an earlier reader; `head` is the beginning of the input, 64 KiB or all of it."""
        ...

    def feed(self, piece: bytes) -> Read:
        """Take the next bytes. Raises `Invalid` where the whole cannot be read."""
        ...

    def finish(self) -> Read:
        """Say that there are no more bytes; returns what was left. Raises `Invalid` as `feed` does."""
        ...


def reader(form: TextForm, now: float) -> Reader:
    """A reader of a form."""
    return Sheet(now) if form == "csv" else Ndjson(now)
