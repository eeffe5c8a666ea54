"""How fast bytes may pass: shared by everything in a process that copies or reads back."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Lets so many bytes pass in a second on average, `burst` seconds of them at once; 0 lets all pass."""

    def __init__(self, per_second: int, burst: float = 1.0) -> None:
        self._rate = per_second
        self._burst = burst
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        """Return when `size` bytes may pass. Bytes are taken before the wait, so that callers go in turn."""
        if not self._rate:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now - self._burst) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
