"""How much work jobs are, in slots: what has to run at once to keep up with arrivals and end a backlog. Pure.

A slot-second is a second of one slot of a worker. A queue that runs only `concurrency` jobs at a time in a process
needs more processes than its slot-seconds say: a process is full where its slots are, or one queue's limit is reached.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from typing import NamedTuple

GOAL_SECONDS = 60.0
"""How soon a backlog is to be gone: with a start of some seconds, 60 short clips end within two minutes."""

_HALF_LIFE_SECONDS = 3600.0
"""After which a run counts half: an hour of lectures is followed by one of short clips."""


class Load(NamedTuple):
    """What one queue asks for: slot-seconds of work that arrive in a second, and that wait."""

    arriving: float
    waiting: float
    concurrency: int
    most: float = math.inf
    """Slots that the queue may use at all, over all processes: 0 while it is paused, or what its rate allows."""


def slots_needed(loads: Collection[Load], slots: int, goal: float = GOAL_SECONDS) -> float:
    """Slots that keep up with what arrives and end what waits within `goal` seconds, in whole or part.

    Divided by the `slots` of a process it is the number of processes.
    """
    wanted = [(min(load.arriving + load.waiting / goal, load.most), load.concurrency) for load in loads]
    fullest = max((want / min(concurrency, slots) for want, concurrency in wanted), default=0.0)
    return slots * max(fullest, sum(want for want, _ in wanted) / slots)


class Means:
    """Mean slot-seconds of a job, by whatever names it; younger ones count more."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, float]] = {}
        self._at: float | None = None

    def note(self, at: float, seconds: Mapping[Hashable, float], jobs: Mapping[Hashable, float]) -> None:
        """Slot-seconds that were used, and jobs that ended, since the last time."""
        passed = max(0.0, at - self._at) if self._at is not None else 0.0
        left = 0.5 ** (passed / _HALF_LIFE_SECONDS)
        self._at = at
        for name in {*self._known, *seconds, *jobs}:
            used, ended = self._known.get(name, (0.0, 0.0))
            self._known[name] = used * left + seconds.get(name, 0.0), ended * left + jobs.get(name, 0.0)

    def of(self, *names: Hashable) -> float | None:
        """Over all jobs of some names; None where none has ended."""
        found = [self._known[name] for name in names if name in self._known]
        ended = sum(jobs for _, jobs in found)
        return sum(seconds for seconds, _ in found) / ended if ended > 0 else None

    def names(self) -> list[Hashable]:
        """What is known."""
        return list(self._known)
