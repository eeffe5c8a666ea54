"""The shards of the default zone: one more takes its share of the courses, one fewer gives them to the others.

An act is what a person would have done with `atomic-guide shards`, by that command in a process of its own: a shard is
added and the buckets are moved to their shares, or the last one is drained. The server works on meanwhile. What a
crash leaves is carried on by the same act again: moves are written down before they begin, and states are read anew.

A drained shard stays where it is, empty, and is the first that is taken when one more is wanted.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from atomic_guide.app.targets.taken import Taken
from atomic_guide.child import Child
from atomic_guide.engines.data.layout.view import registered
from atomic_guide.engines.data.moves import Mover
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.errors import Invalid, Unavailable
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import SHARDS

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)

_STEPS = 8
"""Commands of one act: adding, moving and what a failed move leaves take three or four."""

_AGAIN_SECONDS = 5.0
"""Between a command that failed and the next."""

_STEP_SECONDS = 24 * 3600.0
_STOP_SECONDS = 15.0
_MOVES_MOST = 10_000


class Standing(NamedTuple):
    """The zone's shards now, by name: those in use, those that are being emptied, those in use without a bucket."""

    active: tuple[str, ...]
    draining: tuple[str, ...]
    empty: tuple[str, ...]
    moving: bool
    """Whether moves have been written down that have not ended."""

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way."""
        return not self.draining and not self.empty and not self.moving


class ShardFleet:
    """The fleet `shards`. `arguments` are the options by which a command finds this server's settings.

    `declared` are the names that may be used, on servers of PostgreSQL; none where further files can be made.
    """

    fleet = SHARDS

    def __init__(
        self, shards: Shards, data: Path, arguments: Sequence[str], bounds: tuple[int, int], declared: Sequence[str]
    ) -> None:
        self._shards = shards
        self._data = data
        self._arguments = arguments
        self._least, self._most = bounds
        self._declared = tuple(declared)
        self._mover = Mover(shards, "look")
        self._taken = Taken()
        self._goal = 0
        self._task: asyncio.Task[None] | None = None
        self._child: Child | None = None

    async def look(self) -> Fleet:
        """Those that carry their share, and those that wait for it. One that is being emptied still carries."""
        now = await self._standing()
        waiting = 1 if now.moving and not now.empty and not now.draining else len(now.empty)
        ready = len(now.active) + len(now.draining) - waiting
        # More than the settings want may be there by hand: that is nothing to correct.
        return Fleet(ready, waiting, min(self._least, len(now.active)), self._room(len(now.active)), 1.0)

    async def scale(self, desired: int, key: str) -> None:
        """Begin, or go on, to have so many in use; nothing for an act after which there was a newer one.

        Raises `Invalid` out of the bounds.
        """
        if self._taken.overtaken(key):
            return
        active = len((await self._standing()).active)
        most = self._room(active)
        if not min(self._least, active) <= desired <= most:
            raise Invalid(
                f"{desired} shards are out of the bounds of {self.fleet}: {min(self._least, active)} to {most};"
                " scaling.shards.max bounds them, and on PostgreSQL what databases.servers declares for the zone"
            )
        self._taken.add(key)
        before, self._goal = self._goal, desired
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="act on shards")
        elif before != desired and self._child is not None:
            # It ends the moves that have begun; the next step goes by the new goal.
            self._child.interrupt()

    @property
    def child(self) -> int | None:
        """The process id of the command that runs."""
        return self._child.pid if self._child is not None else None

    async def close(self) -> None:
        """Stop what is under way, after the moves that have begun."""
        if self._child is not None:
            await self._child.stop(_STOP_SECONDS, signal.SIGINT)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _room(self, active: int) -> int:
        most = max(self._most, active)
        return min(most, len(self._declared)) if self._declared else most

    async def _work(self) -> None:
        for _ in range(_STEPS):
            try:
                await self._shards.refresh()
                step = following(await self._standing(), self._goal, await self._spare())
                if step is None:
                    return
                await self._run(*step)
            except Unavailable as error:
                _log.warning("an act on shards failed; it is tried again", error=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)
        _log.warning("an act on shards is given up", wanted=self._goal)

    async def _run(self, *words: str) -> None:
        """One command to its end. Raises `Unavailable` with the last words of one that fails."""
        _log.info("an act on shards", command=" ".join(words))
        output = self._data / "shards.log"
        self._child = Child(f"shards {words[0]}", output)
        try:
            process = await self._child.spawn(
                Path(sys.executable), ["-m", "atomic_guide.cli", "shards", *words, *self._arguments]
            )
            try:
                async with asyncio.timeout(_STEP_SECONDS):
                    code = await process.wait()
            except TimeoutError:
                raise await self._child.give_up(f"took over {_STEP_SECONDS:.0f} s") from None
            if code:
                raise Unavailable(
                    f"`atomic-guide shards {' '.join(words)}` ended with {code}: {self._child.last_words()}"
                )
        finally:
            self._child = None

    async def _spare(self) -> tuple[str, ...]:
        """Names of shards that may be added, the drained ones first; an empty name is the next file."""
        known = {one.name: one for one in await registered(self._shards)}
        drained = [name for name, one in known.items() if one.state == "drained" and one.zone == DEFAULT_ZONE]
        if not self._declared:
            return (*sorted(drained), "")
        return (*sorted(drained), *(name for name in self._declared if name not in known))

    async def _standing(self) -> Standing:
        rows = [one for one in await registered(self._shards) if one.zone == DEFAULT_ZONE]
        owners = {owner for owner, _ in self._shards.map.buckets.get(DEFAULT_ZONE, [])}
        active = tuple(sorted((one.name for one in rows if one.state in {"active", "joining"}), key=_natural))
        moves = await self._mover.list_moves(_MOVES_MOST)
        return Standing(
            active,
            tuple(one.name for one in rows if one.state == "draining"),
            tuple(name for name in active if name not in owners),
            any(not move.ended and move.scope.zone == DEFAULT_ZONE for move in moves),
        )


def following(now: Standing, goal: int, spare: Sequence[str]) -> tuple[str, ...] | None:
    """The words of the command that leads on; None where all is as wanted."""
    if len(now.active) < goal and spare:
        return ("add", *((spare[0],) if spare[0] else ()))
    if len(now.active) > goal:
        return "drain", now.active[-1]
    if now.draining:
        return "drain", now.draining[0]
    return None if now.settled else ("rebalance", "--zone", DEFAULT_ZONE)


def _natural(name: str) -> tuple[str, int]:
    """`shard-10` comes after `shard-9`."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)
