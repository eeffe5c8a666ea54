"""A unit of work on a connection of PostgreSQL: its statements, and the commit."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import asyncpg

from atomic_guide.engines.data.checkout import Connection
from atomic_guide.engines.data.database import Params, Row, Work, count_rows
from atomic_guide.engines.data.failures import FAILURES, LOST
from atomic_guide.engines.data.queries import Positional, Query

T = TypeVar("T")


class Committing(Exception):
    """The connection failed while the commit was on its way."""


def arguments(statement: Positional, params: Params | None) -> list[Any]:
    """The values of a statement in the order of its numbers."""
    return [params[name] for name in statement.names] if params else []


def _changed(tag: str) -> int:
    """The last word of the server's tag, such as `UPDATE 3`."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


class PostgresTransaction:
    """A transaction on one connection; `inside` is true while one of its calls waits for the server."""

    dialect = "postgresql"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.inside = False

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """Every row of the answer."""
        statement = query.postgresql
        rows = await self._ask(self._connection.fetch(statement.sql, *arguments(statement, params)))
        return cast("list[Row]", rows)

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of the answer, if any."""
        rows = await self.read(query, params)
        return rows[0] if rows else None

    async def execute(self, query: Query, params: Params | None = None) -> int:
        """How many rows the statement changed."""
        statement = query.postgresql
        return _changed(await self._ask(self._connection.execute(statement.sql, *arguments(statement, params))))

    async def execute_many(self, query: Query, params: Sequence[Params]) -> None:
        """All sets of parameters in one batch, without a round trip for each."""
        statement = query.postgresql
        await self._ask(self._connection.executemany(statement.sql, [arguments(statement, each) for each in params]))

    async def execute_columns(
        self, query: Query, columns: Mapping[str, Sequence[Any]], params: Params | None = None
    ) -> int:
        """One statement, and an array for each column."""
        if not count_rows(columns):
            return 0
        statement = query.postgresql
        given = arguments(statement, {**(params or {}), **columns})
        return _changed(await self._ask(self._connection.execute(statement.sql, *given)))

    async def read_columns(
        self, query: Query, columns: Mapping[str, Sequence[Any]], params: Params | None = None
    ) -> list[Row]:
        """One statement, and an array for each column."""
        return await self.read(query, {**(params or {}), **columns}) if count_rows(columns) else []

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """One statement for all sets of parameters."""
        return await self._ask(read_each(self._connection, query, params)) if params else []

    async def copy_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """COPY, in the binary form."""
        await self._ask(self._connection.copy_records_to_table(table, columns=list(columns), records=rows))

    async def add_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """COPY into a table for this moment, and from there what is not there yet."""
        names = ", ".join(f'"{column}"' for column in columns)
        # Of one name for each table: the driver remembers the types of the columns that it copies into.
        aside = f"arriving_{table}"
        made = f'CREATE TEMP TABLE "{aside}" ON COMMIT DROP AS SELECT {names} FROM "{table}" WITH NO DATA'  # noqa: S608 - names of the program
        moved = f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{aside}" ON CONFLICT DO NOTHING'  # noqa: S608 - as above
        await self._ask(self._connection.execute(made))
        await self.copy_rows(aside, columns, rows)
        added = _changed(await self._ask(self._connection.execute(moved)))
        await self._ask(self._connection.execute(f'DROP TABLE "{aside}"'))
        return added

    async def _ask(self, call: Awaitable[T]) -> T:
        self.inside = True
        try:
            return await call
        finally:
            self.inside = False


@types.coroutine
def _driven(work: Work[T], transaction: PostgresTransaction) -> Generator[Any, Any, T]:
    """Run a work; RuntimeError where it waits for anything but its transaction, which SQLite could not run."""
    steps = work(transaction).__await__()
    step, given = steps.send, None
    while True:
        try:
            awaited = step(given)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if not transaction.inside:
            steps.close()
            message = "a unit of work may await nothing but its transaction"
            raise RuntimeError(message)
        try:
            given = yield awaited
            step = steps.send
        except BaseException as error:  # noqa: BLE001 - a cancellation, say, is the work's to see
            given, step = error, steps.throw


# A commit that waits for its standby must not be broken off by the time limit of statements: the server would keep
# the transaction, unreplicated, and call that a success. So the limit here ends it, and the outcome is unknown.
_COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"


async def in_transaction(connection: Connection, work: Work[T]) -> T:
    """Run a work and commit it. Raises what the work raises, rolled back; `Committing` where the end is open."""
    await connection.execute("BEGIN")
    try:
        value = await _driven(work, PostgresTransaction(connection))
    except BaseException:
        await _roll_back(connection)
        raise
    warnings: list[object] = []

    def hear(_connection: object, message: object) -> None:
        warnings.append(message)

    connection.add_log_listener(hear)
    try:
        await connection.execute(_COMMIT)
    except (*LOST, asyncpg.InterfaceError, TimeoutError) as error:
        # Whatever became of it, this connection is in no state to be used again.
        connection.terminate()
        raise Committing from error
    connection.remove_log_listener(hear)
    if warnings:
        # Somebody cancelled the wait for the standby: stored here, perhaps nowhere else.
        raise Committing
    return value


async def _roll_back(connection: Connection) -> None:
    """Undo what was done; where that fails the server does it when the connection ends."""
    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
    except FAILURES:
        connection.terminate()


_Fence = Literal["none", "each", "same"]

_many: dict[tuple[Query, _Fence], Positional] = {}
"""The many-fold forms of each query: without a fence, with one for each set, with one for all.

There are three times as many at most as the program has named queries.
"""

_COURSE = ("bucket", "tenant", "course")


async def read_each(connection: Connection, query: Query, params: Sequence[Params]) -> list[list[Row]]:
    """Run a query for every set of parameters at once: the sets become the rows of a table that it is joined to.

    The rows come with the number of their set, and in the query's own order within it: a lateral join reads its right
    side anew for each row of its left.
    """
    many = _many.get((query, "none")) or await _made(connection, query, "none")
    found: list[list[Row]] = [[] for _ in params]
    columns = [[each[name] for each in params] for name in many.names]
    for row in await connection.fetch(many.sql, *columns):
        found[row[0] - 1].append(cast("Row", row))
    return found


async def read_each_fenced(
    connection: Connection, query: Query, params: Sequence[Params], epochs: Sequence[int]
) -> list[list[Row] | None]:
    """As `read_each`, each set under the fence of its course; None where the shard does not own that at its epoch."""
    fence: _Fence = "same" if _same_course(params, epochs) else "each"
    many = _many.get((query, fence)) or await _made(connection, query, fence)
    found: list[list[Row] | None] = [[] for _ in params]
    columns: list[Sequence[Any]] = [[each[name] for each in params] for name in many.names[:-1]]
    for row in await connection.fetch(many.sql, *columns, epochs):
        number = row[0] - 1
        if not row[1]:
            found[number] = None
        elif (rows := found[number]) is not None:
            rows.append(cast("Row", row))
    return found


def _same_course(params: Sequence[Params], epochs: Sequence[int]) -> bool:
    """Whether one look at who owns the course will do for all sets."""
    first = params[0]
    bucket, tenant, course = (first[name] for name in _COURSE)
    return epochs.count(epochs[0]) == len(epochs) and all(
        each["course"] == course and each["tenant"] == tenant and each["bucket"] == bucket for each in params
    )


async def _made(connection: Connection, query: Query, fence: _Fence) -> Positional:
    statement = query.postgresql
    prepared = await connection.prepare(statement.sql)
    kinds = [kind.name for kind in prepared.get_parameters()]
    many = statement.many(kinds) if fence == "none" else statement.many_fenced(kinds, same_course=fence == "same")
    _many[query, fence] = many
    return many
