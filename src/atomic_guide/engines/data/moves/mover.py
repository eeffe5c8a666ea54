"""Beginning, carrying out, resuming, aborting and listing moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from atomic_guide import errors
from atomic_guide.clock import Clock, SystemClock
from atomic_guide.engines.data.moves.carrying import Carrying, Told, task_of
from atomic_guide.engines.data.moves.ledger import Ledger
from atomic_guide.engines.data.moves.move import Limits, Move, Progress, Scope
from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)


class Outcome(NamedTuple):
    """What became of a move that was resumed; `error` says why it is not at its end yet."""

    move: Move
    error: str | None


def _silent(progress: Progress) -> None:
    del progress


class Mover:
    """Moves of an installation. `owner` names this process in leases, and differs between movers."""

    def __init__(self, shards: Shards, owner: str, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self._shards = shards
        self._owner = owner
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._ledger = Ledger(shards.directory, self._clock, self._limits.directory)

    async def start(self, what: Scope, target: str) -> Move:
        """Write a move down, to be carried out.

        Raises `Conflict` where the bucket, or a course of it, moves already, where the target has it, is not active or
        is in another zone; `NotFound` for a zone or shard that the directory does not know; `Invalid` for a bucket
        that there is none of.
        """
        self._shards.named(target)
        return await self._ledger.plan(what, target)

    async def carry_out(self, move_id: str, told: Told = _silent) -> Move:
        """Bring a move to its end, from whatever state it is in; it is done or aborted when this returns.

        `told` hears of each step before it is taken. Raises `Conflict` while another mover has the move, `Superseded`
        where one has taken it over, and `DataUnavailable` where a database does not answer: then the move stays as it
        is, and can be carried out later. One that is held and was not begun raises `Conflict`, too.
        """
        move = await self._ledger.lease(move_id, self._owner, self._limits.lease)
        if move.ended:
            return move
        async with self._leased(move):
            if move.held:
                raise errors.Conflict(f"move {move_id} is paused by {move.held_by}; resume it first")
            carrying = await self._carrying(move, told)
            await carrying.run()
        await self._shards.refresh()
        return await self._ledger.find(move_id)

    async def abort(self, move_id: str, told: Told = _silent) -> Move:
        """Take a move back. Raises `Conflict` where the map has changed already, or while another mover has it."""
        move = await self._ledger.lease(move_id, self._owner, self._limits.lease)
        if move.ended:
            return move
        async with self._leased(move):
            if not move.undecided and move.state != "aborting":
                raise errors.Conflict(f"move {move_id} cannot be taken back: {move.target} owns it; carry it out")
            await self._undo(move, "taken back", told)
        return await self._ledger.find(move_id)

    async def cancel(self, move_id: str, who: str, told: Told = _silent) -> Move:
        """Take a move back in somebody's name, from whoever has it, who gets `Superseded`.

        One that has flipped only goes forward: it is brought to its end, and `Conflict` raised. So does one that has
        ended.
        """
        move = await self._ledger.seize(move_id, self._owner, self._limits.lease)
        if move.ended:
            raise errors.Conflict(f"move {move_id} has ended already: it is {move.state}")
        late = not move.undecided and move.state != "aborting"
        async with self._leased(move):
            if late:
                await (await self._carrying(move, told)).run()
            else:
                await self._undo(move, f"called off by {who}", told)
        if not late:
            return await self._ledger.find(move_id)
        await self._shards.refresh()
        raise errors.Conflict(f"move {move_id} could not be called off: {move.target} owned it by then, and keeps it")

    async def hold(self, move_id: str, who: str) -> Move:
        """Have a move that waits not begun until it is let go. Raises `Conflict` where it has begun."""
        return await self._ledger.hold(move_id, who)

    async def let_go(self, move_id: str) -> Move:
        """Let a move that was held be begun by whoever begins moves. Raises `Conflict` where it has begun."""
        return await self._ledger.hold(move_id, None)

    async def resume_all(self, told: Told = _silent) -> Sequence[Outcome]:
        """Carry out every move that is under way and in nobody's hands, the oldest first."""
        outcomes = []
        for move in await self._ledger.under_way():
            try:
                outcomes.append(Outcome(await self.carry_out(move.id, told), None))
            except errors.GuideError as error:
                outcomes.append(Outcome(await self._ledger.find(move.id), error.message))
        return outcomes

    async def find(self, move_id: str) -> Move:
        """One move. Raises `NotFound`."""
        return await self._ledger.find(move_id)

    async def list_moves(self, limit: int = 100) -> Sequence[Move]:
        """Moves that are under way, then the newest of those that have ended."""
        return await self._ledger.newest(limit)

    async def under_way(self) -> Sequence[Move]:
        """Moves that are not at their end, the oldest first."""
        return await self._ledger.under_way()

    async def list_ended(self, limit: int, after: tuple[float, str] | None = None) -> Sequence[Move]:
        """Moves that have ended, the latest first; those that come after the time and id of one, where it is named."""
        return await self._ledger.ended(limit, after)

    async def _undo(self, move: Move, why: str, told: Told) -> None:
        carrying = await self._carrying(move, told)
        if move.undecided:
            await carrying.give_up(why)
        await carrying.undo()

    async def _carrying(self, move: Move, told: Told) -> Carrying:
        task = await task_of(self._shards, self._ledger, move, self._clock, self._limits)
        return Carrying(self._ledger, move, task, self._clock, told)

    @asynccontextmanager
    async def _leased(self, move: Move) -> AsyncIterator[None]:
        """Keep the lease for the length of a block. A process that dies in it leaves the lease to run out."""
        renewing = asyncio.create_task(self._renew(move))
        try:
            yield
        except (Exception, asyncio.CancelledError):
            await self._let_go(move)
            raise
        else:
            await self._let_go(move)
        finally:
            renewing.cancel()

    async def _renew(self, move: Move) -> None:
        while True:
            await asyncio.sleep(self._limits.lease / 3)
            try:
                if not await self._ledger.renew(move, self._limits.lease):
                    return
            except errors.GuideError as error:
                _log.warning("the lease of a move could not be renewed", move=move.id, error=error.message)

    async def _let_go(self, move: Move) -> None:
        try:
            await self._ledger.release(move)
        except errors.GuideError as error:
            _log.warning("the lease of a move runs out by itself", move=move.id, error=error.message)
