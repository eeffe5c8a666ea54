"""Beginning, carrying out, resuming and listing moves."""

from __future__ import annotations

from collections.abc import Sequence

from atomic_guide.clock import Clock, SystemClock
from atomic_guide.engines.data.moves.ledger import Ledger
from atomic_guide.engines.data.moves.move import Move, Scope
from atomic_guide.engines.data.shards import Shards


class Mover:
    """Moves of an installation. `owner` names this process in leases, and differs between movers."""

    def __init__(self, shards: Shards, owner: str, clock: Clock | None = None) -> None:
        self._shards = shards
        self._owner = owner
        self._ledger = Ledger(shards.directory, clock or SystemClock())

    async def start(self, what: Scope, target: str) -> Move:
        """Write a move down, to be carried out.

        Raises `Conflict` where the bucket, or a course of it, moves already, where the target has it, is not active or
        is in another zone; `NotFound` for a zone or shard that the directory does not know; `Invalid` for a bucket
        that there is none of.
        """
        self._shards.named(target)
        return await self._ledger.plan(what, target)

    async def find(self, move_id: str) -> Move:
        """One move. Raises `NotFound`."""
        return await self._ledger.find(move_id)

    async def list_moves(self, limit: int = 100) -> Sequence[Move]:
        """Moves that are under way, then the newest of those that have ended."""
        return await self._ledger.newest(limit)
