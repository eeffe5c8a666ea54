"""Readers: what bytes of a form become, as they come in."""

from __future__ import annotations

from typing import Literal, Protocol

from atomic_guide.course.analytics.columns import Mark, Read, from_rows
from atomic_guide.course.analytics.forms import NdjsonForm
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


class Ndjson:
    """One JSON object on each line."""

    def __init__(self, now: float) -> None:
        self._form = NdjsonForm(now)

    @property
    def mark(self) -> Mark:
        """How far everything has been returned."""
        return self._form.mark

    def resume(self, head: bytes, mark: Mark) -> None:
        """Go on at the mark of an earlier reader."""
        del head
        self._form.resume(mark)

    def feed(self, piece: bytes) -> Read:
        """Take the next bytes."""
        return from_rows(self._form.feed(piece))

    def finish(self) -> Read:
        """Take the last line, which may lack its end."""
        return from_rows(self._form.finish())


def reader(form: TextForm, now: float) -> Reader:
    """A reader of a form."""
    return Sheet(now) if form == "csv" else Ndjson(now)
