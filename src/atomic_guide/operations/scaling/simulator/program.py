"""A simulation's own process: `python -m atomic_guide.operations.scaling.simulator.program`.

It reads one `Work` in MessagePack from its input and writes a JSON object a line: `Begun` with how much there is to do,
`Moved` a few times a second, and in the end `Ended`, or `Refused` where it cannot be done. It is apart from the server
so that a replay takes nothing of the event loop and can be broken off at any moment.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import TextIO

import msgspec
import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.comparing import compare
from atomic_guide.operations.scaling.reading import read_trace
from atomic_guide.operations.scaling.simulate import Terms
from atomic_guide.operations.scaling.simulator.demonstration import demand_of, find_demonstration
from atomic_guide.operations.scaling.simulator.telling import PolicyTold, TraceTold, policy_told, trace_told
from atomic_guide.operations.scaling.trace import Trace

PROGRAM = __name__ if __name__ != "__main__" else __spec__.name

_NICE = 10
_MEMORY_BYTES = 2 * 2**30
"""Address space. Two weeks under all policies took 0.8 GB at ticks of 15 s; a night of the default over 2 at 5 s."""

_TOLD_SECONDS = 0.3


class Work(msgspec.Struct, frozen=True):
    """The demand, by one of three: the name of a demonstration, the text of a CSV file, values from `start` on.

    `values` are numbers of 64 bits, NaN where nothing was measured, one each `step` seconds.
    """

    terms: Terms
    policies: tuple[str, ...]
    points: int
    name: str = ""
    csv: str = ""
    start: float = 0.0
    step: float = 0.0
    values: bytes = b""


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The demand is read: so many ticks, counted for each policy."""

    ticks: int


class Moved(msgspec.Struct, frozen=True, tag="moved"):
    """The policy that is replayed, and which share of all is done."""

    policy: str
    progress: float


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why it cannot be done."""

    message: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """What came out."""

    trace: TraceTold
    policies: list[PolicyTold]


Said = Begun | Moved | Refused | Ended


def read_demand(work: Work) -> Trace:
    """The demand of a work. Raises `Invalid` for a CSV file that cannot be read, naming the line."""
    if work.csv:
        return read_trace(work.csv.removeprefix("\ufeff").splitlines(), "csv")
    if work.name:
        return demand_of(find_demonstration(work.name))
    return Trace(work.start, work.step, np.frombuffer(work.values, dtype=np.float64))


def perform(work: Work, out: TextIO) -> None:
    """Do a work and say what becomes of it."""
    told_at = 0.0

    def say(said: Said) -> None:
        out.write(msgspec.json.encode(said).decode() + "\n")
        out.flush()

    def moved(policy: str, progress: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TOLD_SECONDS:
            told_at = time.monotonic()
            say(Moved(policy, progress))

    try:
        trace = read_demand(work)
        demand = trace.ticks(work.terms.tick)
        if not len(demand):
            raise Invalid(f"the trace is shorter than a tick of {work.terms.tick:g} s")  # noqa: TRY301 - one way to refuse
        say(Begun(len(demand) * len(work.policies)))
        rows = [
            policy_told(one, trace.start, demand, work.terms, work.points)
            for one in compare(work.policies, trace.start, demand, work.terms, told=moved)
        ]
    except Invalid as error:
        say(Refused(error.message))
    except MemoryError:
        say(Refused(f"it needs more than {_MEMORY_BYTES // 2**30} GB of memory; take longer ticks, or a shorter trace"))
    else:
        say(Ended(trace_told(trace.start, demand, work.terms), rows))


def main() -> None:
    """Read a work, do it with the lowest claims on the machine."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    perform(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Work), sys.stdout)


if __name__ == "__main__":
    main()
