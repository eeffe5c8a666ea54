"""The shard map: which database holds a course, and the directory that knows.

The directory database holds `bucket_map` (zone, bucket) -> shard with an epoch, and `bucket_overrides` for
single courses, so that a hot course can be pinned. Both are small (4,096 rows a zone), are held in memory, and
are read again by `refresh`.
"""

from __future__ import annotations

from atomic_guide import errors
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.placement import BUCKETS, CourseKey, assign
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)

DEFAULT_ZONE = "default"


class Shards:
    """Every database of an installation, and the way from a course to its own."""

    def __init__(self, directory: Database, shards: dict[str, Database]) -> None:
        self.directory = directory
        self._shards = shards
        self._map: list[str] = []
        self._overrides: dict[tuple[str, str], str] = {}

    def of(self, key: CourseKey) -> Database:
        """The database that owns a course. Raises `Unavailable` where the map names a shard that is not configured."""
        name = self._overrides.get((key.tenant, key.course)) or self._map[key.bucket]
        try:
            return self._shards[name]
        except KeyError:
            message = f"the shard map names {name}, which is not in the settings; add it or move its buckets"
            raise errors.Unavailable(message) from None

    def all(self) -> list[Database]:
        """Every shard, in the order of their names."""
        return [self._shards[name] for name in sorted(self._shards)]

    async def refresh(self) -> None:
        """Read the map from the directory; on first use write an even one."""
        rows = await self.directory.read(QUERIES["read_bucket_map"], {"zone": DEFAULT_ZONE})
        if not rows:
            await self.directory.write(self._assign_first)
            rows = await self.directory.read(QUERIES["read_bucket_map"], {"zone": DEFAULT_ZONE})
        if len(rows) != BUCKETS:
            message = (
                f"the bucket map holds {len(rows)} of {BUCKETS} buckets; put back a backup of the directory database"
            )
            raise errors.DataUnavailable(message)
        overrides = await self.directory.read(QUERIES["read_overrides"])
        self._map = [row["shard"] for row in rows]
        self._overrides = {(row["tenant"], row["course"]): row["shard"] for row in overrides}

    async def close(self) -> None:
        """Close every database."""
        for database in [*self._shards.values(), self.directory]:
            await database.close()

    async def _assign_first(self, tx: Transaction) -> None:
        if await tx.read(QUERIES["read_bucket_map"], {"zone": DEFAULT_ZONE}):
            return
        owners = assign(sorted(self._shards))
        await tx.execute_many(
            QUERIES["add_bucket"],
            [
                {"zone": DEFAULT_ZONE, "bucket": bucket, "shard": shard, "epoch": 1}
                for bucket, shard in enumerate(owners)
            ],
        )
