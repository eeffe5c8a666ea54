"""Where a page of a list over all shards ends, so that the next one begins behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from atomic_guide.errors import Invalid

T = TypeVar("T")

FAR = float(2**53)
"""Before and behind every moment and rank."""


class Mark(NamedTuple):
    """The place of a row in its list: the number that it is ordered by, then its id."""

    at: float
    id: str = ""

    @property
    def text(self) -> str:
        """As callers get it, and give it back."""
        return f"{self.at!r}~{self.id}"


FIRST, LAST = Mark(-FAR), Mark(FAR)
"""Where lists begin: those that go up, those that go down."""


def read_mark(text: str | None, begin: Mark) -> Mark:
    """A mark as `Mark.text` wrote it; `begin` where there is none. Raises `Invalid`."""
    if not text:
        return begin
    at, tilde, job = text.partition("~")
    try:
        number = float(at)
    except ValueError:
        number = math.nan
    if not tilde or not math.isfinite(number):
        raise Invalid("after is what `next` of the page before said", details={"parameter": "after"})
    return Mark(number, job)


def cut(found: Sequence[tuple[Mark, T]], limit: int, *, up: bool) -> tuple[list[T], str | None]:
    """The page of what the shards gave, `limit` rows of each: its rows, and the mark of its last one if more follow.

    A shard that gave fewer has no more; so more follow only where the page is full.
    """
    rows = sorted(found, key=lambda each: each[0], reverse=not up)[:limit]
    return [row for _, row in rows], rows[-1][0].text if rows and len(rows) == limit else None
