"""What rooms must reach, section by section: `python3 dev.py bench rooms [SECTION ...] [--share 0.1]`.

Load and servers are separate processes on one machine; peers run in the same minutes, so that ratios can be read where
absolutes cannot.
"""

from __future__ import annotations

from bench._room_load import raise_descriptors, show_machine
from bench._sections import run_sections


def prepare() -> None:
    """Descriptors for the sockets; print what figures depend on."""
    raise_descriptors()
    show_machine()


if __name__ == "__main__":
    run_sections("rooms", __doc__, prepare)
