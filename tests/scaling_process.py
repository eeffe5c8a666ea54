"""A process that leads scaling and stands still at a step of an act, to be killed there. Its orders are on stdin.

Without a step it carries the act to its end and tells what became of it.

Its target is a file that several processes share: which units there are, and what was done under which key.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.operations.scaling.acting import Acting
from atomic_guide.operations.scaling.events import Events, Record, Step
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.patience import ActSettings
from tests.scaling_acts import decision

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Engine
    from atomic_guide.operations.scaling.model import Decision, Mode, State

_LIFE_SECONDS = 60.0
_OWN_LEASE_SECONDS = 5.0
"""Of the process that is killed: a busy machine must not take the lead from it before."""
LEASE_SECONDS = 0.6
"""For so long the next leader sees its lease stand still."""

STEPS = ("recorded", "asked", "taken", "watching", "returning", "asked back", "taken back")
"""Where it can stand still: each is after one thing has come to pass and before the next."""


class Units(msgspec.Struct):
    """What the file says."""

    ready: int = 1
    wanted: int = 1
    starts: bool = True
    done: list[tuple[int, str]] = []


class FileTarget:
    """A fleet in a file; `at` is called at each step."""

    fleet = "workers"

    def __init__(self, path: Path, step: str = "") -> None:
        self._path = path
        self._step = step

    @contextmanager
    def units(self) -> Iterator[Units]:
        """The units, kept from other processes until they are written back."""
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            found = msgspec.json.decode(text, type=Units) if text else Units()
            yield found
            file.seek(0)
            file.truncate()
            file.write(msgspec.json.encode(found))
            file.flush()

    async def look(self) -> Fleet:
        with self.units() as units:
            return Fleet(units.ready, max(units.wanted - units.ready, 0), 0, 10, 1.0)

    async def scale(self, desired: int, key: str) -> None:
        back = " back" if key.endswith("/back") else ""
        stand_still(self._step, f"asked{back}")
        with self.units() as units:
            keys = {one for _, one in units.done}
            if key not in keys and f"{key}/back" not in keys:
                units.done.append((desired, key))
                units.wanted = desired
                units.ready = desired if units.starts else min(units.ready, desired)
        stand_still(self._step, f"taken{back}")


class StandingEvents(Events):
    """Events of a process that stands still after one is written."""

    step_to_die = ""

    async def record(
        self, decision: Decision, mode: Mode, state: State, error: str = "", *, before: int | None = None
    ) -> bool:
        recorded = await super().record(decision, mode, state, error, before=before)
        stand_still(self.step_to_die, "recorded")
        return recorded

    async def advance(self, record: Record, step: Step, error: str = "") -> bool:
        advanced = await super().advance(record, step, error)
        stand_still(self.step_to_die, step)
        return advanced


def stand_still(wanted: str, step: str) -> None:
    """Tell the parent, and wait for the end."""
    if wanted == step:
        print(step, flush=True)  # noqa: T201 - its parent waits for it
        time.sleep(_LIFE_SECONDS)


def opened(address: str) -> Engine:
    """The directory as another process opens it."""
    return PostgresDatabase("directory", address) if "://" in address else SqliteDatabase(Path(address))


def acting(
    directory: Engine, target: FileTarget, limit: float, step: str = "", lease: float = LEASE_SECONDS
) -> tuple[Leader, Events, Acting]:
    """What carries acts out, to be killed at a step or, without one, to follow."""
    clock = SystemClock()
    leader = Leader(directory, "process", clock, lease)
    events = StandingEvents(directory, leader, clock)
    events.step_to_die = step
    settings = ActSettings(act_seconds=limit, replica_seconds=limit, approval_seconds=limit)
    return leader, events, Acting(events, {target.fleet: target}, leader, clock, settings)


async def _main(given: dict[str, Any]) -> None:
    directory = opened(given["directory"])
    target = FileTarget(Path(given["target"]), given["step"])
    leader, events, acts = acting(directory, target, given["limit"], given["step"], _OWN_LEASE_SECONDS)
    while not await leader.campaign():  # noqa: ASYNC110 - a lease tells nobody that it has run out
        await asyncio.sleep(0.05)
    await acts.begin(decision(), "auto")
    while True:
        await leader.campaign()
        pending = await events.pending()
        if not pending and not given["step"]:
            print((await events.find("d1")).event.state, flush=True)  # noqa: T201 - its parent waits for it
            break
        await acts.carry_on(pending)
        await asyncio.sleep(0.05)
    await leader.step_down()
    await directory.close()


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.stdin.buffer.read())))
