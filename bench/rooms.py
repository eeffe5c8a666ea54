"""What rooms must reach, section by section: `python3 dev.py bench rooms [SECTION ...] [--share 0.1]`.

Each section is a module `bench/_rooms_NAME.py` with a docstring and `async def measure(bars: Bars) -> None`. Load and
servers are separate processes on one machine; peers run in the same minutes, so that ratios can be read where absolutes
cannot. A bar is a figure with the bound that it must keep; a run in which one is missed ends with 1.
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
from bench._room_load import raise_descriptors, show_machine

SECTIONS = sorted(path.stem.removeprefix("_rooms_") for path in Path(__file__).parent.glob("_rooms_*.py"))


def main() -> None:
    """Run the sections named, or all; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; none: all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full size, for a first look")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.sections if name not in SECTIONS]:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(SECTIONS)}")
    raise_descriptors()
    show_machine()
    bars = Bars(chosen.share)
    for name in chosen.sections or SECTIONS:
        module = importlib.import_module(f"bench._rooms_{name}")
        print(f"\n{name}: {(module.__doc__ or '').strip().splitlines()[0]}")
        began = time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(module.measure(bars))
        print(f"  ({time.perf_counter() - began:.1f} s, load {os.getloadavg()[0]:.2f})", flush=True)
    sys.exit(bars.conclude())


if __name__ == "__main__":
    main()
