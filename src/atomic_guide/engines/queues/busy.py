"""Whether the machine is busy, so that what is not urgent waits. Pure.

Two figures that every process has: how late its event loop comes, which is what people in a live session notice, and
how many threads are runnable for each core. Busy begins at the settings' bounds and ends below seven tenths of them,
so that work which was held does not make it begin again at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from atomic_guide.engines.queues.settings import QueueSettings

_CALM = 0.7


class Figures(NamedTuple):
    """What a process knows: seconds that its loop was late lately, runnable threads for each core, resident bytes."""

    lag: float
    load: float
    memory: int


class Judgement(NamedTuple):
    """Whether it is busy, and by what."""

    busy: bool
    reason: str


def judge(figures: Figures, settings: QueueSettings, *, was_busy: bool) -> Judgement:
    """Whether the machine is busy, given whether it was."""
    share = _CALM if was_busy else 1.0
    if figures.lag >= settings.busy_lag_seconds * share:
        return Judgement(busy=True, reason=f"the event loop came {figures.lag:.2f} s late")
    if figures.load >= settings.busy_load * share:
        return Judgement(busy=True, reason=f"{figures.load:.1f} runnable threads for each core")
    return Judgement(busy=False, reason="")


def over_memory(figures: Figures, settings: QueueSettings) -> bool:
    """Whether the process has grown beyond what lets it take further jobs."""
    return figures.memory > settings.memory_mb * 2**20
