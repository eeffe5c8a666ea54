"""One queue of a worker: what is claimed and waits for a slot, and how much of it to claim."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Literal

from atomic_guide.engines.queues.slots import Demand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.engines.queues.settings import QueueRules

Refusal = Literal["", "paused", "memory", "held"]
"""Why a queue is not claimed from; `held`: what is not urgent of it is not."""

AHEAD_SECONDS = 0.2
"""Jobs are claimed ahead for this time of work, so that slots need not wait for a claim, which takes a tenth of it.
More would let leases idle, and keep a more urgent job waiting behind them in another process."""

AHEAD_MOST = 2000
"""Most jobs that are claimed and wait: a claim of a thousand takes 20 ms of a database."""

BATCH_MOST = 1000

URGENT = 2
"""Jobs that are claimed beyond all that when one was published: if it precedes what waits here, it goes first."""

_RATE_SECONDS = 0.5
"""Over how long the rate of starts is taken."""


class Lane:
    """The jobs of one queue in one worker; `woken` is set when there may be something to claim."""

    def __init__(self, name: str, rules: QueueRules, handlers: Mapping[str, Handler]) -> None:
        self.name = name
        self.rules = rules
        self.handlers = handlers
        self.woken = asyncio.Event()
        self.published = False
        self.running = 0
        self.refusal: Refusal = ""
        self._waiting: list[tuple[float, int, Lease, float]] = []
        self._number = 0
        self._starts = 0
        self._ahead = 0
        self._rated_at = 0.0

    def arrive(self, leases: Sequence[Lease], now: float) -> None:
        """Jobs were claimed; `now` is monotonic."""
        for lease in leases:
            self._number += 1
            heapq.heappush(self._waiting, (lease.job.rank, self._number, lease, now))

    def next(self) -> Lease:
        """Take the first of those that wait. Raises IndexError where none does."""
        self._starts += 1
        return heapq.heappop(self._waiting)[2]

    def leave(self, before: float = float("inf")) -> list[Lease]:
        """Give up those that have waited since `before` a monotonic moment."""
        left = [entry[2] for entry in self._waiting if entry[3] < before]
        self._waiting = [entry for entry in self._waiting if entry[3] >= before]
        heapq.heapify(self._waiting)
        return left

    @property
    def waiting(self) -> int:
        """Jobs that are claimed and not started."""
        return len(self._waiting)

    @property
    def leases(self) -> list[Lease]:
        """What is claimed and not started, in no order."""
        return [entry[2] for entry in self._waiting]

    @property
    def demand(self) -> Demand:
        """Itself as the sharing of slots sees it."""
        ready = 0 if self.refusal == "paused" else len(self._waiting)
        return Demand(self.rules.weight, self.rules.concurrency, self.running, ready)

    def drop(self, leases: set[int]) -> None:
        """Forget what waits of these leases, which are given by identity."""
        self._waiting = [entry for entry in self._waiting if id(entry[2]) not in leases]
        heapq.heapify(self._waiting)

    def missing(self, room: int) -> int:
        """How many jobs to claim now, with `room` for so many to start at once."""
        missing = room + self._ahead - len(self._waiting)
        if missing > 0 and 2 * missing >= self._ahead:
            return min(missing, BATCH_MOST)
        return 0

    def measure(self, now: float) -> None:
        """Take the rate of starts anew, from time to time; `now` is monotonic."""
        if now - self._rated_at >= _RATE_SECONDS:
            rate = self._starts / (now - self._rated_at)
            self._starts, self._rated_at = 0, now
            self._ahead = 0 if self.rules.per_second else min(AHEAD_MOST, int(rate * AHEAD_SECONDS))
