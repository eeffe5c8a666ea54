"""Copies of lectures: many objects to three stores of which one fails often, and one large object in little memory.

    python -m bench.assets [--lectures 100] [--objects 100] [--bytes 8192] [--large 5368709120]

The service is SeaweedFS on the same machine, and writes are fsynced as always. 100 lectures of 100 objects are 10,000.
"""

import argparse
import logging
import subprocess
import sys

import structlog

from bench._assets_through import through


def main() -> None:
    """Run both."""
    # That a store fails is meant; what is tried again is no figure.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lectures", type=int, default=100)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=8192)
    parser.add_argument("--large", type=int, default=5 * 1024**3, help="bytes of the large object; 0 leaves it out")
    asked = parser.parse_args()
    print("copies:")
    through(asked.lectures, asked.objects, asked.bytes)
    if asked.large:
        print("one large object:", flush=True)
        # In a process of its own: memory that a process once had is not given back.
        subprocess.run([sys.executable, "-m", "bench._assets_memory", str(asked.large)], check=True)


if __name__ == "__main__":
    main()
