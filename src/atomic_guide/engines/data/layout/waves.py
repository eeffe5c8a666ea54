"""Carrying out many moves: written down first, then done a few at a time, and followed up after a crash.

What is written down is the whole wave of moves that can run together (one for a bucket), so that whoever comes after a
mover that was killed knows what was meant: `unfinished` finds it, `finish` ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from atomic_guide.engines.data.moves import Move, Mover, Progress, Scope
from atomic_guide.engines.data.plan import PlannedMove
from atomic_guide.errors import Conflict, DataUnavailable, GuideError
from atomic_guide.resilience import retrying

_MOST_FAILURES = 5
"""Moves that may fail before the rest is left for later: a shard that is away fails them all."""

_PATIENCE_SECONDS = 5.0
"""How long a move is tried again while a database does not answer, before it is left for later."""

_LEASES = 2
"""How often the end of another mover's lease is waited for; one that lives renews it, and keeps its move."""
_LEASE_MARGIN = 0.2
_LOOK_SECONDS = 1.0
"""Between looks for whether that mover has let the move go."""

_MOST_MOVES = 10_000
"""More than there can be under way in two zones."""


class Report(NamedTuple):
    """How far the work is: moves ended of all, and the last word of one."""

    ended: int
    total: int
    move: Move
    text: str


class Outcome(NamedTuple):
    """What came of the moves: `left` were not begun; `pinned` courses stay where they are now."""

    done: tuple[Move, ...]
    failed: tuple[str, ...]
    left: int
    pinned: int = 0

    @property
    def rows(self) -> int:
        """Rows that have gone over."""
        return sum(move.rows for move in self.done)

    @property
    def longest_pause(self) -> float:
        """The longest that writes of a bucket had to wait, in milliseconds."""
        return max((move.pause_ms for move in self.done), default=0.0)


class Wanted(NamedTuple):
    """A scope, and the shard that it is to be on."""

    scope: Scope
    target: str


Told = Callable[[Report], None]


class Waves:
    """Moves that one caller has carried out. `stop` set: what has begun is ended, the rest is left."""

    def __init__(self, mover: Mover, at_once: int, told: Told) -> None:
        self._mover = mover
        self._limit = asyncio.Semaphore(at_once)
        self._told = told
        self._total = 0
        self._done: list[Move] = []
        self._failed: list[str] = []
        self.stop = asyncio.Event()

    async def unfinished(self) -> list[Move]:
        """Moves that were begun, or only written down, and have not ended."""
        return [move for move in await self._mover.list_moves(_MOST_MOVES) if not move.ended]

    async def finish(self, moves: Sequence[Move]) -> Outcome:
        """End moves that are written down, but for those that are held."""
        moves = [move for move in moves if not move.held]
        self._total += len(moves)
        # Those that another mover has, or had when it died, come last.
        order = sorted(moves, key=lambda move: move.lease_until)
        await asyncio.gather(*(self._one(move.id, str(move.scope)) for move in order))
        return self.outcome

    async def carry_out(self, wanted: Sequence[Wanted]) -> Outcome:
        """Write moves down and carry them out, wave by wave. One that cannot be begun is reported as failed.

        One that was written down before, by a command that was stopped or killed, is ended.
        """
        self._total += len(wanted)
        before = {Wanted(move.scope, move.target): move for move in await self.unfinished()}
        left = list(wanted)
        while left and not self._stopped:
            wave, left = _wave(left)
            begun = []
            for one in wave:
                try:
                    begun.append(before.get(one) or await self._mover.start(one.scope, one.target))
                except GuideError as error:
                    self._failed.append(f"{one.scope}: {error.message}")
            await asyncio.gather(*(self._one(move.id, str(move.scope)) for move in begun))
        return self.outcome

    async def abandon(self, moves: Sequence[Move]) -> Outcome:
        """Give up moves that the map does not know of yet; what was copied for them is removed."""
        self._total += len(moves)
        for move in moves:
            try:
                self._done.append(await self._mover.abort(move.id))
            except GuideError as error:
                self._failed.append(f"{move.scope}: {error.message}")
        return self.outcome

    @property
    def outcome(self) -> Outcome:
        """What has come of all of them so far."""
        return Outcome(tuple(self._done), tuple(self._failed), self._total - self._ended)

    @property
    def _ended(self) -> int:
        return len(self._done) + len(self._failed)

    @property
    def _stopped(self) -> bool:
        return self.stop.is_set() or len(self._failed) >= _MOST_FAILURES

    async def _one(self, move_id: str, what: str) -> None:
        async with self._limit:
            if self._stopped:
                return
            try:
                move = await self._brought(move_id)
            except GuideError as error:
                self._failed.append(f"{what}: {error.message}")
                return
        if not move.ended:
            return
        if move.state == "done":
            self._done.append(move)
            self._told(Report(self._ended, self._total, move, "moved"))
        else:
            self._failed.append(f"{what}: {move.error or 'was aborted'}")

    async def _brought(self, move_id: str) -> Move:
        """A move at its end; or as it is, where this was stopped. One that a dead mover has is waited for."""
        for _ in range(_LEASES):
            try:
                async for attempt in retrying(_may_pass, seconds=_PATIENCE_SECONDS):
                    with attempt:
                        return await self._mover.carry_out(move_id, self._tell)
            except Conflict:
                move = await self._mover.find(move_id)
                wait = move.lease_until - time.time()
                if wait <= 0 and not move.ended:
                    raise
                self._told(
                    Report(self._ended, self._total, move, f"waits {wait:.0f} s for its mover, which may be dead")
                )
                if await self._stopped_within(wait + _LEASE_MARGIN, move_id):
                    return move
        return await self._mover.carry_out(move_id, self._tell)

    async def _stopped_within(self, seconds: float, move_id: str) -> bool:
        """Wait until another mover lets a move go, as one does that calls it off; whether this was stopped first."""
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self.stop.wait()
                return True
            if (await self._mover.find(move_id)).lease_until <= time.time():
                return False
        return False

    def _tell(self, progress: Progress) -> None:
        self._told(Report(self._ended, self._total, progress.move, progress.text))


def _may_pass(error: Exception) -> bool:
    return isinstance(error, DataUnavailable)


def wanted_of(zone: str, moves: Iterable[PlannedMove]) -> list[Wanted]:
    """A plan's moves as they are carried out."""
    return [Wanted(Scope(zone, move.bucket, move.tenant, move.course), move.target) for move in moves]


def _wave(wanted: Sequence[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
    """Those that can run together, one for a bucket, and the others."""
    wave: dict[tuple[str, int], Wanted] = {}
    for one in wanted:
        wave.setdefault((one.scope.zone, one.scope.bucket), one)
    chosen = set(wave.values())
    return list(wave.values()), [one for one in wanted if one not in chosen]
