"""What the cache of a process has done since its start."""

from __future__ import annotations

from atomic_guide.durations import Durations


class Counts:
    """Plain numbers, which cost nothing to keep. What is found in memory at once is counted by the memory itself."""

    __slots__ = (
        *("loads", "failures", "joined", "refreshed", "stale", "negative", "rejected", "shared_hits"),
        *("shared_misses", "skipped", "garbage", "marks", "puts", "lag", "load", "cuts"),
    )

    def __init__(self) -> None:
        self.loads = 0
        """Values loaded by whoever can, because no layer had them."""
        self.failures = 0
        """Loads that raised, or took too long."""
        self.joined = 0
        """Callers who waited for a load that another had begun, in this process or elsewhere."""
        self.refreshed = 0
        """Loads that were begun while the value before was still given out."""
        self.stale = 0
        """Aged values given out."""
        self.negative = 0
        """Answers that something does not exist, without a load."""
        self.rejected = 0
        """Values that were older than what a caller already knew of."""
        self.shared_hits = 0
        self.shared_misses = 0
        self.skipped = 0
        """Calls of NATS that were left out, or had no answer in time."""
        self.garbage = 0
        """What lay on NATS under a value's name, and was none that one of our processes had stored there."""
        self.marks = 0
        """Changes that were heard of."""
        self.puts = 0
        self.cuts = 0
        """How often NATS has gone, or its changes were not heard any more."""
        self.lag = Durations()
        """From asking NATS for the number of the last change until that was heard of, asked each second."""
        self.load = Durations()
        """How long loads took."""
