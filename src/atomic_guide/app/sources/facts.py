"""What is paid for and no process reports: sizes of databases, lectures by tenant, servers beside ours."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.app.sources.database import QUERIES
from atomic_guide.operations.costs.advise.gather import cooled_bytes
from atomic_guide.operations.costs.state import DATABASE, NATS
from atomic_guide.operations.scaling.model import REPLICAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atomic_guide.engines.data.database import Database
    from atomic_guide.engines.data.shards import Shards

_GOOD_SECONDS = 300.0
"""How long they are good for: a lecture is made in minutes, and a size is asked of every server."""

_LOOK_SECONDS = 3.0
_TENANTS_LIMIT = 1000


class Known(NamedTuple):
    """Units of fleets of servers, bytes of all databases with replicas, bytes of lectures in all and by tenant.

    `cooled` of them are in a cheaper storage class.
    """

    units: Mapping[str, float]
    database_bytes: int
    stored: int
    tenants: Mapping[str, int]
    cooled: int = 0


class Facts:
    """Asks for them, and remembers the answer for a while."""

    def __init__(self, shards: Shards, nats_nodes: int, *, servers: bool) -> None:
        """`servers` says whether the databases are servers, which are paid for, and not files of the first process."""
        self._shards = shards
        self._nats = nats_nodes
        self._servers = servers
        self._known: Known | None = None
        self._known_at = -math.inf

    async def at(self, at: float) -> Known:
        """What is known. Raises as every read does."""
        if self._known is None or not 0 <= at - self._known_at < _GOOD_SECONDS:
            async with asyncio.timeout(_LOOK_SECONDS):
                self._known = await self._asked()
            self._known_at = at
        return self._known

    async def _asked(self) -> Known:
        units: dict[str, float] = {}
        size = await _size(self._shards.directory)
        for whole in self._shards.all():
            copies = len(whole.shard.replicas.replicas) if whole.shard.replicas is not None else 0
            if self._servers:
                units[DATABASE] = units.get(DATABASE, 0.0) + 1
            if copies:
                units[REPLICAS + whole.name] = float(copies)
            size += (1 + copies) * await _size(whole.shard.primary)
        if self._nats:
            units[NATS] = float(self._nats)
        rows = await self._shards.directory.read(QUERIES["list_stored"], {"limit": _TENANTS_LIMIT})
        tenants = {row["tenant"]: int(row["used"]) for row in rows}
        whole_store = await self._shards.directory.one(QUERIES["sum_stored"])
        stored = int(whole_store["used"]) if whole_store is not None else 0
        return Known(units, size, stored, tenants, await cooled_bytes(self._shards))


async def _size(database: Database) -> int:
    row = await database.one(QUERIES["measure_database"])
    return int(row["bytes"]) if row is not None else 0
