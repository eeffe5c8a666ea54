"""Kinds of days: terms and breaks, holidays, exam weeks. What they do to demand is learned; when they are is told.

Entries come from the schedule, where operators or imported calendars (ics.py) put them. What is not in any entry is an
ordinary time. Where entries overlap, the kind that says more goes first: a holiday within exam weeks is a holiday.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["term", "exams", "break", "holiday"]

KINDS: tuple[Kind, ...] = ("term", "exams", "break", "holiday")
"""In the order of precedence, the last one first. Ordinary time has the number 0, these 1 to 4."""

HOLIDAY = 1 + KINDS.index("holiday")

_HOUR = 3600


class Span(NamedTuple):
    """A time of a kind, in epoch seconds."""

    kind: Kind
    begins: float
    ends: float


def kinds_of(spans: Iterable[Span], begin: float, count: int) -> NDArray[np.int64]:
    """The number of the kind of each of `count` hours from an epoch second on; an hour counts by its middle."""
    found = np.zeros(count, dtype=np.int64)
    for span in sorted(spans, key=lambda span: KINDS.index(span.kind)):
        first = int(np.ceil((span.begins - begin) / _HOUR - 0.5))
        last = int(np.ceil((span.ends - begin) / _HOUR - 0.5))
        found[max(first, 0) : max(last, 0)] = 1 + KINDS.index(span.kind)
    return found
