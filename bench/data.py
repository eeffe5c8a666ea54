"""What the data layer must reach, section by section: `python3 dev.py bench data [SECTION ...] [--share 0.1]`.

It runs on real engines, durable ones: what fsync and synchronous_commit are is asked of every server and printed.
"""

from __future__ import annotations

import os
import sys

from bench._sections import run_sections
from tests.postgres import Server, shared_cluster


def show_machine() -> None:
    """Print what the figures depend on; refuse servers that would lose what they have acknowledged."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}; SQLite synchronous=FULL")
    for server in shared_cluster().servers:
        show_durability(server)


def show_durability(server: Server) -> None:
    """Print that a server loses nothing that it has acknowledged."""
    settings = {name: server.sql(f"SHOW {name}") for name in ("server_version", "fsync", "synchronous_commit")}
    assert (settings["fsync"], settings["synchronous_commit"]) == ("on", "on"), (server.name, settings)
    print(f"  {server.name:<16}" + "  ".join(f"{name}={value}" for name, value in settings.items()))


if __name__ == "__main__":
    run_sections("data", __doc__, show_machine)
