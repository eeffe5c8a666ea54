"""The garbage collector of a serving process.

What a process has loaded lives as long as it does, and is most of its objects; looking through all of them again and
again took 40% of the CPU of chat posts, and stopped rooms and requests for 65 ms at a time.
"""

from __future__ import annotations

import gc

_YOUNG = 20_000
"""Objects made and not given back before the youngest are looked through: a millisecond's work, every 300 requests."""

_MIDDLE, _OLD = 20, 20


def settle() -> None:
    """Leave what was loaded until now out of collections, and collect less often. Once the process is ready."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
