"""What queues must reach, section by section: `python3 dev.py bench queues [SECTION ...] [--share 0.1]`.

Everything is durable before it is acknowledged: SQLite with synchronous=FULL, PostgreSQL with fsync and
synchronous_commit, the Redis of peers with appendfsync=always. Workers are processes of their own; peers run in the
same minutes, so that ratios can be read where absolutes cannot.
"""

from __future__ import annotations

import os
import sys

from bench._sections import run_sections


def show_machine() -> None:
    """Print what the figures depend on."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}; SQLite synchronous=FULL")


if __name__ == "__main__":
    run_sections("queues", __doc__, show_machine)
