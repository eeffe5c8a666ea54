"""Jobs that failed for good: kept with their reason until a person replays or drops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.queues.jobs import QUERIES
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.engines.data.shards import Shards


class DeadLetter(msgspec.Struct, frozen=True):
    """A job that failed for good. Times are ISO 8601."""

    id: str
    shard: str
    tenant: str
    course: str
    queue: str
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    reason: str
    created_at: str
    died_at: str


class DeadLetters:
    """The dead letters of every shard."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def list(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters of all shards, at most `limit`."""
        found = [
            _letter(shard, row)
            for shard in self._shards.all()
            for row in await shard.read(QUERIES["list_dead"], {"limit": limit})
        ]
        return sorted(found, key=lambda letter: letter.died_at, reverse=True)[:limit]

    async def show(self, job: str) -> DeadLetter:
        """One dead letter. Raises `NotFound`."""
        shard, row = await self._find(job)
        return _letter(shard, row)

    async def replay(self, job: str, now: float) -> None:
        """Queue it again with all its attempts. Raises `NotFound`."""
        await self._change(job, "replay_dead", now=now)

    async def drop(self, job: str) -> None:
        """Forget it for good. Raises `NotFound`."""
        await self._change(job, "drop_dead")

    async def _find(self, job: str) -> tuple[Database, Row]:
        for shard in self._shards.all():
            row = await shard.one(QUERIES["find_dead"], {"id": job})
            if row is not None:
                return shard, row
        raise NotFound(f"there is no dead letter {job}; `atomic-guide dead-letters list` shows them")

    async def _change(self, job: str, query: str, **values: float) -> None:
        shard, row = await self._find(job)
        params = {name: row[name] for name in ("bucket", "tenant", "course", "id")} | values

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES[query], params)

        if not await shard.write(work):
            raise NotFound(f"the dead letter {job} has just been replayed or dropped")


def _letter(shard: Database, row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        shard=shard.name,
        tenant=row["tenant"],
        course=row["course"],
        queue=row["queue"],
        kind=row["kind"],
        subject=row["subject"],
        payload=msgspec.json.decode(row["payload"]),
        attempts=row["attempts"],
        reason=row["error"] or "",
        created_at=iso(row["created_at"]),
        died_at=iso(row["finished_at"]),
    )
