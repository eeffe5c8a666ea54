"""How a worker under measurement tells when it began and ended: a line over a Unix socket, for ours and every peer.

Needs only the standard library: peers import it in environments of their own. `BENCH_MARKS` names the socket and
`BENCH_JOBS` how many jobs there are.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import time
from collections.abc import Callable


class Marks:
    """Counts jobs over all threads of a process; says when the first and when the last was there."""

    def __init__(self) -> None:
        self._place = os.environ["BENCH_MARKS"]
        self._last = int(os.environ["BENCH_JOBS"])
        # `next` of a count is one step of the interpreter: no lock is needed between threads.
        self._numbers = itertools.count(1)

    def hit(self) -> None:
        """One more job has run."""
        number = next(self._numbers)
        if number == 1:
            self.tell("first")
        if number == self._last:
            self.tell("last")

    def tell(self, what: str) -> None:
        """Say it to whoever measures, with the machine's clock, and wait until it has been noted."""
        at = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(10)
            line.connect(self._place)
            line.sendall(f"{what} {at}\n".encode())
            line.recv(1)


def enqueued(publish: Callable[[int], None]) -> None:
    """Publish as many jobs as are asked for and print the seconds, and those of CPU."""
    count = int(os.environ["BENCH_JOBS"])
    began, spent = time.perf_counter(), time.process_time()
    publish(count)
    sys.stdout.write(f"enqueued {time.perf_counter() - began} {time.process_time() - spent}\n")
    sys.stdout.flush()
