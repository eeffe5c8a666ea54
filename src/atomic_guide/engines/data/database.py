"""The port that every database adapter fills: SQLite files today, PostgreSQL servers when one machine is too small.

A unit of work is an `async def work(tx)` that awaits nothing but `tx`. That rule lets one text of the work run
on both engines: the SQLite adapter drives it to its end inside the writer thread, the PostgreSQL adapter awaits
it on a pooled connection. It may run again after a rollback, so it must have no effect outside the database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from atomic_guide.engines.data.queries import Query

T = TypeVar("T")
Params = Mapping[str, Any]


class Row(Protocol):
    """One row of an answer, by column name."""

    def __getitem__(self, key: str, /) -> Any:
        """The value of a column; KeyError or IndexError where the query has no such column."""
        ...

    def keys(self) -> Any:
        """The columns in their order."""
        ...


class Transaction(Protocol):
    """What a unit of work may do. All of it is committed together, or none."""

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """Every row of the answer; also runs `... RETURNING`."""
        ...

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of the answer, if any."""
        ...

    async def execute(self, query: Query, params: Params | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    async def execute_many(self, query: Query, params: Sequence[Params]) -> None:
        """Run a statement once for each set of parameters."""
        ...


Work = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    """One database: a shard, or the directory."""

    @property
    def name(self) -> str:
        """How settings, logs and metrics call it."""
        ...

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """A short read of committed data (milliseconds; bounded by its own LIMIT)."""
        ...

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of a short read, if any."""
        ...

    async def scan(self, query: Query, params: Params | None = None) -> list[Row]:
        """A read that may take long, off the event loop; `DataUnavailable` at its time limit."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work and return its answer once it is durable.

        Raises what the work raises (rolled back alone, its neighbours in the group commit are kept),
        `Conflict` for a taken key, `DataUnavailable` or `OutOfSpace` where the engine cannot take it.
        """
        ...

    async def close(self) -> None:
        """Finish accepted writes and let go of the engine."""
        ...
