"""Jobs that failed for good: kept with their reason until a person replays or drops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.jobs import QUERIES, replay_dead
from atomic_guide.errors import Conflict, DataUnavailable, NotFound

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


class Letters(NamedTuple):
    """Dead letters of the shards that answered; why the others' are missing, by shard."""

    letters: list[DeadLetter]
    missing: dict[str, str]


class DeadLetters:
    """The dead letters of every shard."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def list(self, limit: int = 100) -> Letters:
        """The newest dead letters of all shards, at most `limit`."""
        found = await scatter(self._shards.all(), QUERIES["list_dead"], {"limit": limit}, short=True)
        letters = [_letter(shard, row) for shard, row in found.rows]
        letters.sort(key=lambda letter: letter.died_at, reverse=True)
        return Letters(letters[:limit], found.missing)

    async def show(self, job: str) -> DeadLetter:
        """One dead letter. Raises `NotFound`, or `DataUnavailable` where it may be in a shard that does not answer."""
        shard, row = await self._find(job)
        return _letter(shard.name, row)

    async def replay(self, job: str, now: float) -> None:
        """Queue it again with all its attempts. Raises `NotFound`, or `Conflict` where a live job does its work."""
        shard, row = await self._find(job)
        key = CourseKey(row["tenant"], row["course"], row["bucket"])

        async def work(tx: Transaction) -> str:
            return await replay_dead(tx, key, job, now)

        outcome = await shard.write(work)
        if outcome == "held":
            raise Conflict(f"a live job does the work of the dead letter {job}; wait for that one, or drop this one")
        if outcome == "missing":
            raise NotFound(f"the dead letter {job} has just been replayed or dropped")

    async def drop(self, job: str) -> None:
        """Forget it for good. Raises `NotFound`."""
        shard, row = await self._find(job)
        params = {name: row[name] for name in ("bucket", "tenant", "course", "id")}

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES["drop_dead"], params)

        if not await shard.write(work):
            raise NotFound(f"the dead letter {job} has just been replayed or dropped")

    async def _find(self, job: str) -> tuple[Database, Row]:
        every = {shard.name: shard for shard in self._shards.all()}
        found = await scatter(list(every.values()), QUERIES["find_dead"], {"id": job}, short=True)
        for shard, row in found.rows:
            return every[shard], row
        if found.missing:
            raise DataUnavailable(
                f"the dead letter {job} is in no shard that answers: {'; '.join(found.missing.values())}"
            )
        raise NotFound(f"there is no dead letter {job}; `atomic-guide dead-letters list` shows them")


def _letter(shard: str, row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        shard=shard,
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
