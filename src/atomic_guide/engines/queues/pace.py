"""How many jobs of a queue may start, so that all processes together keep to its rate. Pure.

A token bucket for each queue, in the directory: it is exact over any number of processes, none of which needs to know
how many there are, and costs a small write for some jobs of queues that have a limit, and none for the others. (A
share for each process would leave the shares of idle ones unused, and be wrong while processes come and go.)
"""

from __future__ import annotations

from typing import NamedTuple

BURST_SECONDS = 0.5
"""What a bucket holds: enough for workers that ask some times a second, little enough to spread the work."""


class Bucket(NamedTuple):
    """What is in the bucket of a queue, and when that was so."""

    tokens: float
    at: float


def take(bucket: Bucket | None, now: float, rate: float, wanted: int) -> tuple[int, Bucket]:
    """How many of the `wanted` jobs may start, and what is in the bucket then; `rate` is in jobs a second.

    In a time of t seconds no more than 1 + rate * (t + BURST_SECONDS) may. A clock that goes back fills nothing.
    """
    most = max(1.0, rate * BURST_SECONDS)
    if bucket is None:
        bucket = Bucket(1.0, now)
    filled = min(most, bucket.tokens + max(0.0, now - bucket.at) * rate)
    granted = min(wanted, int(filled))
    return granted, Bucket(filled - granted, max(now, bucket.at))
