"""Who owns a bucket, as each shard itself knows: the fence that keeps a stale router from reading or writing there.

The directory's map says where a course is; the table `bucket_owner` in each shard says what the shard may answer for,
with the epoch of its last move. A router passes the epoch of its map with every call:

- a write begins with `hold` in its own transaction. On PostgreSQL that takes a shared advisory lock on the bucket,
  which a mover takes exclusively, so that no write is in flight when the bucket is fenced; on SQLite writes exclude
  one another anyway.
- a read is refused by the statement itself on PostgreSQL (`Query.fenced`), in one snapshot with the rows; on SQLite
  ownership is looked up after the rows, which is enough, as rows are removed only after the shard has let go.

A shard that is behind its router's epoch (put back from an old backup, say) is refused like one that lost the bucket.

States: `owned`; `fenced` (read, not written, while the last changes move); `arriving` (a copy under way, not
answered from) and `gone` (moved away, rows being removed). No entry means not owned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from atomic_guide.engines.data.database import Transaction, Work
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import Fenced

QUERIES = load_queries(__package__)

T = TypeVar("T")


class Fence(NamedTuple):
    """What must hold where a course is read or written: its shard owns it at this epoch or a later one."""

    key: CourseKey
    epoch: int

    @property
    def params(self) -> dict[str, Any]:
        """The fence as query parameters."""
        return {**self.key.columns, "fence_epoch": self.epoch}


async def hold(tx: Transaction, fences: Sequence[Fence]) -> None:
    """Begin a unit of work for these courses. Raises `Fenced` naming a bucket that is not this shard's to write."""
    if len(fences) == 1:
        found = [await tx.read(QUERIES["hold_bucket"], fences[0].params)]
    else:
        found = await tx.read_each(QUERIES["hold_bucket"], [fence.params for fence in fences])
    for fence, rows in zip(fences, found, strict=True):
        if not rows or not rows[0]["held"]:
            raise Fenced(f"bucket {fence.key.bucket} is not written here at epoch {fence.epoch}", retry_after=1)


def fenced(work: Work[T], fences: Sequence[Fence]) -> Work[T]:
    """The work, refused where the shard does not own one of the courses."""

    async def held(tx: Transaction) -> T:
        await hold(tx, fences)
        return await work(tx)

    return held


def over_all(work: Work[T]) -> Work[T]:
    """A work over rows of any course; its statements choose them with `{{writable ...}}`."""

    async def held(tx: Transaction) -> T:
        await tx.read(QUERIES["hold_shard"])
        return await work(tx)

    return held
