"""The port that every database adapter fills: SQLite files (sqlite.py) and PostgreSQL servers (postgres.py).

A unit of work is an `async def work(tx)` that awaits nothing but `tx`. That rule lets one text of the work run
on both engines: the SQLite adapter drives it to its end inside the writer thread, the PostgreSQL adapter awaits
it on a pooled connection. It may run again after a rollback, so it must have no effect outside the database.

Errors of an adapter are the product's: `Conflict` for a taken key, `Disconnected` where the connection failed,
`Fenced` where a shard does not own the rows, `OutOfSpace`, else `DataUnavailable`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.traffic import Traffic
from atomic_guide.limit import Used

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

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`: for a step that one engine does as a part of another statement."""
        ...

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

    async def execute_columns(
        self, query: Query, columns: Mapping[str, Sequence[Any]], params: Params | None = None
    ) -> int:
        """Run a statement over many rows that are given by column, and return how many rows it changed.

        On SQLite it is for one row, of which the columns' names are parameters, and an INSERT takes many at once; on
        PostgreSQL it runs once, each column being one array: `INSERT INTO t SELECT ... FROM unnest(:a::text[],
        :b::integer[]) AS r(a, b)`. So it has a text for each dialect, and rows must not repeat what the statement
        updates. `params` are the same for all rows.
        Raises ValueError for columns of different lengths.
        """
        ...

    async def read_columns(
        self, query: Query, columns: Mapping[str, Sequence[Any]], params: Params | None = None
    ) -> list[Row]:
        """As `execute_columns`, for a statement with `RETURNING`: the rows that it returns, in no order."""
        ...

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """The rows for each set of parameters, in their order: one round trip where the engine has any."""
        ...

    async def copy_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Append rows to a table as fast as the engine can; a taken key or a bad value refuses them all."""
        ...

    async def add_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """As `copy_rows`, but rows whose key is taken are left out; returns how many were added."""
        ...


Work = Callable[[Transaction], Awaitable[T]]


def count_rows(columns: Mapping[str, Sequence[Any]]) -> int:
    """How many rows columns make. Raises ValueError where they are not of one length."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        message = f"the columns {', '.join(columns)} have {len(lengths)} different lengths"
        raise ValueError(message)
    return lengths.pop()


class Target(NamedTuple):
    """Where a unit of work goes at this moment, and the fences that it must hold there (ownership.py)."""

    database: Database
    fences: tuple[Any, ...]


class Database(Protocol):
    """One database: a shard, or the directory."""

    @property
    def name(self) -> str:
        """How settings, logs and metrics call it."""
        ...

    @property
    def target(self) -> Target:
        """Itself; or for the database of a course that may move, where that is."""
        ...

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """A short read of committed data (milliseconds; bounded by its own LIMIT)."""
        ...

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of a short read, if any."""
        ...

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """The rows for each set of parameters, in their order; one statement where the engine is a server."""
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


class Engine(Database, Protocol):
    """What an adapter offers besides: an end, and reads of a course's rows that fail where its shard is not the owner.

    With `epoch`, the parameters name the course, and `Fenced` is raised unless the database owns it at this epoch or
    a later one.
    """

    @property
    def traffic(self) -> Traffic:
        """How long calls take and how busy it is, as this process has found."""
        ...

    def used(self) -> Iterator[Used]:
        """How much this process uses of its limits."""
        ...

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """As `Database.read`."""
        ...

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """As `Database.one`."""
        ...

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """As `Database.read_each`."""
        ...

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """As `Database.scan`."""
        ...

    async def vacuum(self, table: str, dead: int, share: float) -> bool:
        """Let the room of a table's dead rows be used again, where the engine does not at once; whether it did.

        It does from so many dead rows on, and so large a share of those that live. The count may be a second old.
        """
        ...

    def apart(self) -> Engine:
        """The same database over connections of its own, for another event loop; whoever asks closes it."""
        ...

    async def close(self) -> None:
        """Finish accepted writes and let go of the engine."""
        ...
