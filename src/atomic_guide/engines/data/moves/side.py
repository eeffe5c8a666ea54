"""A shard's side of a move: what its table `bucket_owner` says, and its rows.

Every call is one transaction, begins by holding the move's token (`Superseded` where a later mover was here), and may
be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Row, Transaction, Work
from atomic_guide.engines.data.moves.ledger import QUERIES, Override
from atomic_guide.engines.data.moves.move import Move, Superseded
from atomic_guide.engines.data.moves.rows import Rows, tables
from atomic_guide.engines.data.shard import Shard

T = TypeVar("T")

_BATCH = 2000
"""Rows that one transaction removes: about 20 ms, in which a file's other writers wait."""

_LOCK_MILLISECONDS = 100
"""How long the fence waits for writes under way. Others queue behind it meanwhile, so it gives up and tries again."""

_ANSWERING = {"owned", "fenced"}


class Side:
    """The source or the target of a move."""

    def __init__(self, shard: Shard, move: Move, clock: Clock) -> None:
        self.shard = shard
        self._move = move
        self._clock = clock

    async def write(self, work: Work[T]) -> T:
        """Run a work under the move's token."""

        async def held(tx: Transaction) -> T:
            params = {"bucket": self._move.scope.bucket, "token": self._move.token, "now": self._clock.now()}
            if not await tx.read(QUERIES["hold_token"], params):
                raise Superseded(f"move {self._move.id} has been taken over by another mover")
            return await work(tx)

        return await self.shard.primary.write(held)

    async def hold(self) -> None:
        """Show that the move is still this mover's."""
        await self.write(_nothing)

    async def enter(self, overrides: Sequence[Override]) -> None:
        """The target expects the scope. Raises `Conflict` where it says that it owns it."""

        async def work(tx: Transaction) -> None:
            entry = await self._entry(tx)
            if entry is not None and entry["state"] in _ANSWERING:
                raise errors.Conflict(
                    f"{self.shard.name} says that it owns {self._move.scope}; run `atomic-guide shards verify`"
                )
            await self._say(tx, "arriving", self._move.epoch)
            if not self._move.scope.is_course:
                await self._set_apart(tx, overrides)

        await self.write(work)

    async def check_arriving(self, tx: Transaction) -> None:
        """Raise `Superseded` inside a work where the target expects the scope no more."""
        entry = await self._entry(tx)
        if entry is None or entry["state"] != "arriving":
            raise Superseded(f"move {self._move.id} has been taken over by another mover")

    async def fence(self) -> None:
        """From now on the source answers reads only. Raises `Conflict` where it does not own the scope."""

        async def work(tx: Transaction) -> None:
            await tx.read(QUERIES["limit_lock_wait"], {"milliseconds": str(_LOCK_MILLISECONDS)})
            await tx.read(QUERIES["wait_out_writers"], {"bucket": self._move.scope.bucket})
            entry = await self._entry(tx)
            if entry is None:
                # A course that went by its bucket gets an entry of its own.
                entry = await self._entry(tx, whole=True)
            if entry is None or entry["state"] not in _ANSWERING:
                raise errors.Conflict(
                    f"{self.shard.name} does not own {self._move.scope}; run `atomic-guide shards verify`"
                )
            await self._say(tx, "fenced", entry["epoch"])

        await self.write(work)

    async def unfence(self, *, apart: bool) -> None:
        """The source owns the scope as before; `apart`: a course that had a place of its own before."""

        async def work(tx: Transaction) -> None:
            entry = await self._entry(tx)
            if entry is None or entry["state"] != "fenced":
                return
            if self._move.scope.is_course and not apart:
                await tx.execute(QUERIES["drop_entry"], self._key)
            else:
                await self._say(tx, "owned", entry["epoch"])

        await self.write(work)

    async def leave(self) -> None:
        """The source answers no more. Before the target begins to, or a late router would read what is old."""
        await self.write(lambda tx: self._say(tx, "gone", self._move.epoch))

    async def own(self, *, apart: bool) -> None:
        """The target answers; a course that is not `apart` goes by its bucket again."""

        async def work(tx: Transaction) -> None:
            if self._move.scope.is_course and not apart:
                await tx.execute(QUERIES["drop_entry"], self._key)
            else:
                await self._say(tx, "owned", self._move.epoch)

        await self.write(work)

    async def withdraw(self) -> bool:
        """The target expects the scope no more; False where it says that it owns it, and nothing may be undone."""

        async def work(tx: Transaction) -> bool:
            entry = await self._entry(tx)
            if entry is not None and entry["state"] in _ANSWERING:
                return False
            await self._say(tx, "gone", self._move.epoch)
            return True

        return await self.write(work)

    async def purge(self, rows: Rows) -> int:
        """Remove the scope's rows, a batch at a time. Raises `Conflict` where the shard answers for them."""

        async def work(tx: Transaction) -> int:
            await self._check_let_go(tx)
            left = _BATCH
            for table in tables():
                if left:
                    left -= await tx.execute(rows.delete(table), {**rows.params, "limit": left})
            return _BATCH - left

        removed = 0
        while True:
            batch = await self.write(work)
            removed += batch
            if batch < _BATCH:
                return removed

    async def forget(self) -> None:
        """Drop the entries that the shard needs no more once the rows are gone; the token stays."""

        async def work(tx: Transaction) -> None:
            await self._check_let_go(tx)
            bucket = await self._entry(tx, whole=True)
            if bucket is not None and bucket["state"] in _ANSWERING:
                # The course is elsewhere and its bucket is here: only its own entry says so.
                return
            if self._move.scope.is_course:
                await tx.execute(QUERIES["drop_entry"], self._key)
            else:
                await self._set_apart(tx, ())

        await self.write(work)

    @property
    def _key(self) -> dict[str, Any]:
        scope = self._move.scope
        return {"bucket": scope.bucket, "tenant": scope.tenant, "course": scope.course}

    async def _entry(self, tx: Transaction, *, whole: bool = False) -> Row | None:
        key = {**self._key, "tenant": "", "course": ""} if whole else self._key
        return await tx.one(QUERIES["read_entry"], key)

    async def _say(self, tx: Transaction, state: str, epoch: int) -> None:
        own = {"state": state, "epoch": epoch, "token": self._move.token, "now": self._clock.now()}
        await tx.execute(QUERIES["write_entry"], {**self._key, **own})

    async def _check_let_go(self, tx: Transaction) -> None:
        entry = await self._entry(tx) or await self._entry(tx, whole=True)
        if entry is not None and entry["state"] in _ANSWERING:
            raise errors.Conflict(
                f"{self.shard.name} answers for {self._move.scope}, whose rows stay; run `atomic-guide shards verify`"
            )

    async def _set_apart(self, tx: Transaction, overrides: Sequence[Override]) -> None:
        """Entries for the bucket's courses that are elsewhere, and for no other; one that is owned here stays."""
        elsewhere = {(each.tenant, each.course): each for each in overrides if each.shard != self.shard.name}
        for row in await tx.read(QUERIES["list_course_entries"], self._key):
            key = {**self._key, "tenant": row["tenant"], "course": row["course"]}
            if row["state"] == "gone" and (row["tenant"], row["course"]) not in elsewhere:
                await tx.execute(QUERIES["drop_entry"], key)
        for (tenant, course), each in elsewhere.items():
            own = {"tenant": tenant, "course": course, "epoch": each.epoch, "state": "gone"}
            params = {**self._key, **own, "token": self._move.token, "now": self._clock.now()}
            await tx.execute(QUERIES["write_entry"], params)


async def _nothing(tx: Transaction) -> None:
    del tx
