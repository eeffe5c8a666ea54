"""The load figures that a process has of itself and its machine."""

from __future__ import annotations

import os
import resource
from collections import deque
from pathlib import Path

from atomic_guide.engines.queues.busy import Figures

_REMEMBERED_SECONDS = 5.0
"""How long a late turn of the loop counts; a garbage collection or a large answer is over by then."""

_STATM = Path("/proc/self/statm")


class Load:
    """Collects how late the loop comes, and asks the system for the rest."""

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque(maxlen=64)
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def late(self, now: float, seconds: float) -> None:
        """The loop came `seconds` late; `now` is monotonic."""
        self._lags.append((now, seconds))

    def figures(self, now: float) -> Figures:
        """The figures at a monotonic moment. The lag is the second largest lately: one late turn is no load."""
        lags = sorted(lag for at, lag in self._lags if now - at <= _REMEMBERED_SECONDS)
        return Figures(lags[-2] if len(lags) > 1 else 0.0, os.getloadavg()[0] / self._cores, resident())


def resident() -> int:
    """Bytes of memory that this process has now; where the system does not say, the most it ever had."""
    try:
        return int(_STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        # macOS counts bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
