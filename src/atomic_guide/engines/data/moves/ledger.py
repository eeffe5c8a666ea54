"""The directory's side of moves: their rows, the leases of their movers, and the flip.

A mover that takes a move over raises its token. Every later change of the row names the token, so that a mover that
was taken for dead changes nothing any more. Each change may be sent again: where the connection fails during a commit
nobody knows whether it was stored, and asking again is how that is found out.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Database, Row, Transaction, Work
from atomic_guide.engines.data.moves.move import Move, Scope, State, Superseded
from atomic_guide.engines.data.ownership import QUERIES as MAP
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.resilience import retrying

T = TypeVar("T")

QUERIES = load_queries(__package__)


_NEVER = 1e11
"""Seconds since the epoch that no move ends at: the year 5138."""

_KEPT_SECONDS = 90 * 86_400.0
"""How long a move that has ended can be looked up: a term."""


class Override(NamedTuple):
    """A course that has a place of its own."""

    tenant: str
    course: str
    shard: str
    epoch: int


class Ledger:
    """Moves as the directory knows them; `patience` is how many seconds a change is sent again."""

    def __init__(self, directory: Database, clock: Clock, patience: float = 5.0) -> None:
        self._directory = directory
        self._patience = patience
        self._clock = clock

    async def plan(self, scope: Scope, target: str) -> Move:
        """Write a move down.

        Raises `Conflict` where the bucket moves already, the target owns the scope, or may not take it.
        """
        scope.check()
        move_id = f"{int(self._clock.now()):08x}{secrets.token_hex(4)}"

        async def work(tx: Transaction) -> None:
            bucket = await tx.one(QUERIES["lock_bucket"], scope.params)
            if bucket is None:
                raise errors.NotFound(f"zone {scope.zone} has no shards; add one with `atomic-guide shards add`")
            await _check_target(tx, scope, target)
            if under_way := await tx.one(QUERIES["find_move_of_bucket"], scope.params):
                raise errors.Conflict(f"bucket {scope.bucket} is moving already (move {under_way['id']})")
            place = (await tx.one(QUERIES["find_override"], scope.params) if scope.is_course else None) or bucket
            if place["shard"] == target:
                raise errors.Conflict(f"{scope} is on {target} already")
            own = {"id": move_id, "source": place["shard"], "target": target, "now": self._clock.now()}
            epoch = max(place["epoch"], bucket["epoch"]) + 1
            await tx.execute(QUERIES["plan_move"], {**scope.params, **own, "epoch": epoch})
            await tx.execute(QUERIES["prune_moves"], {"before": self._clock.now() - _KEPT_SECONDS})

        await self._directory.write(work)
        return await self.find(move_id)

    async def find(self, move_id: str) -> Move:
        """One move. Raises `NotFound`."""
        row = await self._directory.one(QUERIES["read_move"], {"id": move_id})
        if row is None:
            raise errors.NotFound(f"there is no move {move_id}; `atomic-guide shards list` shows them")
        return _move(row)

    async def newest(self, limit: int) -> Sequence[Move]:
        """The newest moves, those under way first."""
        return [_move(row) for row in await self._directory.read(QUERIES["list_moves"], {"limit": limit})]

    async def under_way(self) -> Sequence[Move]:
        """Moves that are not at their end, the oldest first."""
        return [_move(row) for row in await self._directory.read(QUERIES["list_moves_under_way"])]

    async def ended(self, limit: int, after: tuple[float, str] | None) -> Sequence[Move]:
        """Moves that have ended, the latest first, from after that of a time and an id on."""
        at, move_id = after or (_NEVER, "")
        params = {"limit": limit, "at": at, "id": move_id}
        return [_move(row) for row in await self._directory.read(QUERIES["list_moves_ended"], params)]

    async def overrides(self, scope: Scope) -> Sequence[Override]:
        """The courses of a bucket that have a place of their own."""
        rows = await self._directory.read(QUERIES["overrides_of_bucket"], scope.params)
        return [Override(row["tenant"], row["course"], row["shard"], row["epoch"]) for row in rows]

    async def bucket_owner(self, scope: Scope) -> tuple[str, int]:
        """The shard of the scope's bucket, and its epoch."""
        row = await self._directory.one(QUERIES["find_bucket"], scope.params)
        if row is None:
            raise errors.NotFound(f"zone {scope.zone} has no shards")
        return row["shard"], row["epoch"]

    async def lease(self, move_id: str, owner: str, seconds: float) -> Move:
        """Take a move over; one at its end comes back as it is. Raises `Conflict` while another mover has it."""
        taken = await self._take("lease_move", move_id, owner, seconds)
        move = await self.find(move_id)
        if not taken and not move.ended:
            left = move.lease_until - self._clock.now()
            raise errors.Conflict(f"move {move_id} is in the hands of {move.owner} for {left:.0f} s more")
        return move

    async def seize(self, move_id: str, owner: str, seconds: float) -> Move:
        """Take a move over from whoever has it, which changes nothing any more; one at its end comes back as it is."""
        await self._take("seize_move", move_id, owner, seconds)
        return await self.find(move_id)

    async def hold(self, move_id: str, who: str | None) -> Move:
        """Have a move not begun, in somebody's name; with none, begun again. Raises `Conflict` where it has begun."""
        params = {"id": move_id, "who": who, "now": self._clock.now()}
        held = await self._repeated(lambda tx: tx.execute(QUERIES["hold_move"], params))
        move = await self.find(move_id)
        if not held:
            what = "has ended" if move.ended else "has begun"
            raise errors.Conflict(f"move {move_id} {what}; only one that waits can be held or let go")
        return move

    async def renew(self, move: Move, seconds: float) -> bool:
        """Keep a lease; False where it is lost."""
        params = {"id": move.id, "token": move.token, "lease_until": self._clock.now() + seconds}
        return bool(await self._directory.write(lambda tx: tx.execute(QUERIES["renew_move"], params)))

    async def release(self, move: Move) -> None:
        """Let a lease go."""
        params = {"id": move.id, "token": move.token}
        await self._directory.write(lambda tx: tx.execute(QUERIES["release_move"], params))

    async def advance(self, move: Move, state: State, **changed: Any) -> Move:
        """The next state, with `rows`, `pause_ms` or `error`. Raises `Superseded`."""
        params = self._advancing(move, state, changed)
        await self._repeated(lambda tx: _advance(tx, params))
        return await self.find(move.id)

    async def flip(self, move: Move, **changed: Any) -> Move:
        """Give the scope to its target, for all the world: the point after which a move only goes forward.

        Raises `Superseded`; `DataUnavailable` where it is unknown whether it came to pass.
        """
        params = {**self._advancing(move, "flipped", changed), **move.scope.params}
        params |= {"source": move.source, "target": move.target, "epoch": move.epoch}

        async def work(tx: Transaction) -> None:
            bucket = await tx.one(QUERIES["lock_bucket"], params)
            await _advance(tx, params)
            if not move.scope.is_course:
                flipped = await tx.execute(QUERIES["flip_bucket"], params)
            elif bucket is not None and bucket["shard"] == move.target:
                flipped = await tx.execute(QUERIES["rejoin_course"], params) or 1
            else:
                flipped = await tx.execute(QUERIES["flip_course"], params)
            if not flipped:
                raise errors.Conflict(f"{move.scope} is not on {move.source} any more; plan its move anew")
            await tx.read(MAP["count_map_change"])

        await self._repeated(work)
        return await self.find(move.id)

    def _advancing(self, move: Move, state: State, changed: dict[str, Any]) -> dict[str, Any]:
        own = {"rows": move.rows, "pause_ms": move.pause_ms, "error": move.error, **changed}
        return {
            "id": move.id, "token": move.token, "before": move.state, "after": state, "now": self._clock.now(), **own
        }  # fmt: skip

    async def _take(self, query: str, move_id: str, owner: str, seconds: float) -> bool:
        now = self._clock.now()
        params = {"id": move_id, "owner": owner, "now": now, "lease_until": now + seconds, "floor": int(now)}
        return bool(await self._repeated(lambda tx: tx.read(QUERIES[query], params)))

    async def _repeated(self, work: Work[T]) -> T:
        """A change that may be sent again, until the directory has answered."""
        async for attempt in retrying(_may_have_happened, seconds=self._patience):
            with attempt:
                return await self._directory.write(work)
        raise AssertionError("retrying ends with an answer or an error")


def _move(row: Row) -> Move:
    return Move.of(cast("dict[str, Any]", row))


def _may_have_happened(error: Exception) -> bool:
    return isinstance(error, errors.DataUnavailable)


async def _advance(tx: Transaction, params: dict[str, Any]) -> None:
    if not await tx.execute(QUERIES["advance_move"], params):
        raise Superseded(f"move {params['id']} has been taken over by another mover")


async def _check_target(tx: Transaction, scope: Scope, target: str) -> None:
    """Raise `Conflict` where a shard may not take a scope."""
    shard = next((row for row in await tx.read(MAP["read_shards"]) if row["name"] == target), None)
    if shard is None:
        raise errors.NotFound(f"there is no shard {target}; add it with `atomic-guide shards add`")
    if shard["zone"] != scope.zone:
        raise errors.Conflict(f"shard {target} is in zone {shard['zone']}, and {scope} may not leave its zone")
    if shard["state"] != "active":
        raise errors.Conflict(f"shard {target} is {shard['state']}; it takes nothing now")
