"""What the cache must reach, section by section: `python3 dev.py bench cache [SECTION ...] [--share 0.1]`."""

from __future__ import annotations

import os
import sys

from bench._sections import run_sections


def show_machine() -> None:
    """Print what the figures depend on."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    run_sections("cache", __doc__, show_machine)
