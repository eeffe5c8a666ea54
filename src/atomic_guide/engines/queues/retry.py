"""When a failed job runs again. Pure: no clock, no randomness; the caller rolls the dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomic_guide.engines.queues.jobs import QueueSettings


def backoff(attempts: int, roll: float, settings: QueueSettings) -> float:
    """Seconds until the next attempt after `attempts` of them, for a `roll` in [0, 1).

    Exponential with full jitter: anywhere between nothing and the doubled bound, so that jobs that failed
    together do not come back together.
    """
    doublings = min(attempts - 1, 32)
    return roll * min(settings.retry_most_seconds, settings.retry_first_seconds * 2.0**doublings)
