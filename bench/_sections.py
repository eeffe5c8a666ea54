"""The way of the benchmarks that decide: `python3 dev.py bench NAME [SECTION ...] [--share 0.1]`.

A section of the benchmark `rooms` is a module `bench/_rooms_SECTION.py` with a docstring and
`async def measure(bars: Bars) -> None`. A bar is a figure with the bound that it must keep; a run in which one is
missed ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from bench._bars import Bars


def run_sections(name: str, doc: str | None, prepare: Callable[[], None]) -> None:
    """Run the sections of a benchmark that the command line names, or all, after `prepare`; ends the program."""
    prefix = f"_{name}_"
    sections = sorted(path.stem.removeprefix(prefix) for path in Path(__file__).parent.glob(f"{prefix}*.py"))
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(sections)}; none: all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full size, for a first look")
    chosen = parser.parse_args()
    if unknown := [section for section in chosen.sections if section not in sections]:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(sections) or 'none'}")
    # That engines go away is meant; what servers say of it is no figure.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    prepare()
    bars = Bars(chosen.share)
    for section in chosen.sections or sections:
        module = importlib.import_module(f"bench.{prefix}{section}")
        print(f"\n{section}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
        began = time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(module.measure(bars))
        print(f"  ({time.perf_counter() - began:.1f} s, load {os.getloadavg()[0]:.2f})", flush=True)
    sys.exit(bars.conclude())
