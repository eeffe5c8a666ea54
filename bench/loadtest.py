"""What the load tester must reach: `python3 dev.py bench loadtest [SECTION ...] [--share 0.1]`.

Server, tester and, in turns, locust's own users are processes of one machine; each row shows what each of them used.
"""

from __future__ import annotations

from bench._room_load import raise_descriptors, show_machine
from bench._sections import run_sections


def prepare() -> None:
    """Descriptors for the sockets; print what figures depend on."""
    raise_descriptors()
    show_machine()


if __name__ == "__main__":
    run_sections("loadtest", __doc__, prepare)
