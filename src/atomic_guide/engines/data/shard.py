"""One shard: its primary, and the replicas that may answer for it.

A `Shard` is a `Database`: writes go to the primary; a read goes where the session of its caller allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from atomic_guide.engines.data.database import Engine, Params, Row, Target, Work
from atomic_guide.engines.data.queries import Query

T = TypeVar("T")


class Shard:
    """A shard as a `Database`."""

    def __init__(self, name: str, primary: Engine, zone: str, weight: float = 1.0) -> None:
        self._name = name
        self.primary = primary
        self.zone = zone
        self.weight = weight

    @property
    def name(self) -> str:
        """How settings, logs and metrics call it."""
        return self._name

    @property
    def target(self) -> Target:
        """Itself."""
        return Target(self, ())

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A short read."""
        return await self.primary.read(query, params, epoch=epoch)

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """The first row of a short read."""
        return await self.primary.one(query, params, epoch=epoch)

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """The rows for each set of parameters."""
        return await self.primary.read_each(query, params, epoch=epoch)

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A read that may take long."""
        return await self.primary.scan(query, params, epoch=epoch)

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work on the primary."""
        return await self.primary.write(work)

    async def close(self) -> None:
        """Let go of every server."""
        await self.primary.close()
