"""What the data layer must reach, section by section: `python3 dev.py bench data [SECTION ...] [--share 0.1]`.

Each section is a module `bench/_data_NAME.py` with a docstring and `async def measure(bars: Bars) -> None`. It runs on
real engines, durable ones: what fsync and synchronous_commit are is asked of every server and printed. A bar is a
figure with the bound that it must keep; a run in which one is missed ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import time
from pathlib import Path

import uvloop

from bench._bars import Bars
from tests.postgres import Cluster, shared_cluster

SECTIONS = sorted(path.stem.removeprefix("_data_") for path in Path(__file__).parent.glob("_data_*.py"))


def show_machine(cluster: Cluster) -> None:
    """Print what the figures depend on; refuse servers that would lose what they have acknowledged."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}; SQLite synchronous=FULL")
    for server in cluster.servers:
        settings = {name: server.sql(f"SHOW {name}") for name in ("server_version", "fsync", "synchronous_commit")}
        assert (settings["fsync"], settings["synchronous_commit"]) == ("on", "on"), (server.name, settings)
        print(f"  {server.name:<16}" + "  ".join(f"{name}={value}" for name, value in settings.items()))


def main() -> None:
    """Run the sections named, or all; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; none: all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full size, for a first look")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.sections if name not in SECTIONS]:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(SECTIONS) or 'none'}")
    show_machine(shared_cluster())
    bars = Bars(chosen.share)
    for name in chosen.sections or SECTIONS:
        module = importlib.import_module(f"bench._data_{name}")
        print(f"\n{name}: {(module.__doc__ or '').strip().splitlines()[0]}")
        began = time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(module.measure(bars))
        print(f"  ({time.perf_counter() - began:.1f} s, load {os.getloadavg()[0]:.2f})")
    sys.exit(bars.conclude())


if __name__ == "__main__":
    main()
