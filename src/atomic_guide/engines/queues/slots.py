"""Which queue gets the next free slot of a process. Pure.

Slots are shared by weight among the queues that have something to run: the one that is furthest below its share goes
next. A queue may use the shares of others while they have nothing to do, except for one slot each: that one stays free
for them, so that a queue of long jobs never holds up another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Demand(NamedTuple):
    """A queue as the sharing sees it; `ready` is how many jobs of it could start now."""

    weight: float
    concurrency: int
    running: int
    ready: int


def room(slots: int, demands: Sequence[Demand], which: int) -> int:
    """How many more jobs of a queue could start at once, if no other had any."""
    own = demands[which]
    taken = sum(demand.running for demand in demands)
    kept = sum(1 for number, demand in enumerate(demands) if number != which and not demand.running)
    free = slots - taken - kept
    if not own.running:
        free = max(free, min(1, slots - taken))
    return max(0, min(own.concurrency - own.running, free))


def next_queue(slots: int, demands: Sequence[Demand]) -> int | None:
    """The number of the queue whose job starts next; None where none may."""
    best: int | None = None
    least = float("inf")
    for number, demand in enumerate(demands):
        if not demand.ready:
            continue
        share = (demand.running + 1) / demand.weight
        if share < least and room(slots, demands, number):
            best, least = number, share
    return best
