"""PostgreSQL adapter: one database of a server, over asyncpg.

Guarantees:
- A write that has answered is on disk: the server's `synchronous_commit` stays on, and where it has a synchronous
  standby, on that one's disk too. A commit that gives up waiting for its standby is no answer.
- A work whose connection fails before its commit was sent, or that loses a deadlock, is run again within
  `retry_seconds`. Where the connection fails during the commit, the caller is told that the outcome is unknown.
- A work that was begun is finished, whether or not its caller still waits, as on SQLite.
- Reads run on connections whose transactions are read only: what changes data is refused by the server.
- Every statement has a time limit on the server and one here; every wait for a connection too.

An address may name several hosts: `target_session_attrs=primary` finds the one that is the primary, also after a
failover. Keep passwords out of the settings with a password file (`PGPASSFILE`).
"""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import asyncpg

from atomic_guide import errors
from atomic_guide.engines.data.checkout import Checkout, Connection, is_gone
from atomic_guide.engines.data.database import Params, Row, Target, Work, count_rows
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.queries import Positional, Query
from atomic_guide.engines.data.settings import PostgresSettings
from atomic_guide.engines.data.tls import tls_of
from atomic_guide.resilience import retrying

T = TypeVar("T")


_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    # An old primary that came back as a standby: the pool's other connections lead to it, too.
    asyncpg.ReadOnlySQLTransactionError,
    # A multi-host address of which no host is the primary at this moment.
    asyncpg.exceptions.TargetServerAttributeNotMatched,
    ConnectionError,
    OSError,
)
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_FENCED = "AG001"
"""The SQLSTATE that `fence_read` raises (migrations/shard/versions/0002_placement.py)."""
_CLOSE_SECONDS = 10.0


def wrap(error: BaseException, name: str) -> errors.GuideError:
    """The product's error for one of the driver's, which loses the part of its text that shows a row."""
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None
    if getattr(error, "sqlstate", None) == _FENCED:
        return errors.Fenced(f"database {name}: {error}", retry_after=1)
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return errors.Conflict(f"database {name}: {type(error).__name__} of {getattr(error, 'constraint_name', None)}")
    # The driver's own refusal of an argument is a ValueError, too; so is a bad certificate, which is something else.
    if isinstance(error, asyncpg.DataError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    ):
        # A zero byte in a text, a number beyond its column: SQLite finds nothing for it, or stores it.
        return errors.Invalid(f"database {name}: a value is one that no column can hold ({type(error).__name__})")
    if isinstance(error, asyncpg.DiskFullError):
        return errors.OutOfSpace(f"database {name}: its disk is full; free some space, nothing was stored")
    if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
        return errors.DataUnavailable(f"database {name} did not answer in time", retry_after=1)
    if isinstance(error, _LOST) or (isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)):
        return errors.Disconnected(
            f"database {name} cannot be reached ({type(error).__name__}); it is tried again", retry_after=1
        )
    return errors.DataUnavailable(f"database {name}: {error}", retry_after=5)


class _Committing(Exception):
    """The connection failed while the commit was on its way."""


def _asked(query: Query, params: Params | None, epoch: int | None) -> tuple[Positional, Params]:
    """The statement and its parameters, with the fence where there is one."""
    if epoch is None:
        return query.postgresql, params or {}
    return query.fenced, {**(params or {}), "fence_epoch": epoch}


def arguments(statement: Positional, params: Params | None) -> list[Any]:
    """The values of a statement in the order of its numbers."""
    return [params[name] for name in statement.names] if params else []


def _changed(tag: str) -> int:
    """The last word of the server's tag, such as `UPDATE 3`."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


class PostgresTransaction:
    """A transaction on one connection; `inside` is true while one of its calls waits for the server."""

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

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """One statement for all sets of parameters."""
        return await self._ask(_read_each(self._connection, query.postgresql, params)) if params else []

    async def copy_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """COPY, in the binary form."""
        await self._ask(self._connection.copy_records_to_table(table, columns=list(columns), records=rows))

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


class PostgresDatabase:
    """One database of a server as a `Database`; `read_only` for a replica.

    `told(who)`, if given, is called for each new connection with what tells the process that it leads to from others.
    """

    def __init__(
        self,
        name: str,
        address: str,
        settings: PostgresSettings | None = None,
        *,
        read_only: bool = False,
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._name = name
        self.address = address
        self._told = told
        self._settings = settings or PostgresSettings()
        self._read_only = read_only
        self._limit = self._settings.statement_timeout
        self._readers = self._made(address, self._settings.readers, writing=False)
        self._writers = self._made(address, self._settings.writers, writing=True)
        self._works: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def name(self) -> str:
        """How settings, logs and metrics call it."""
        return self._name

    @property
    def backlog(self) -> int:
        """Works that are begun or wait for a connection."""
        return len(self._works)

    @property
    def target(self) -> Target:
        """Itself."""
        return Target(self, ())

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """Every row of a short read."""
        statement, given = _asked(query, params, epoch)
        # As `reading`, spelled out: a context manager more would be a tenth of a point read.
        try:
            connection = await self._readers.take()
            try:
                found = await connection.fetch(statement.sql, *arguments(statement, given), timeout=self._limit)
            finally:
                self._readers.give_back(connection)
        except _FAILURES as error:
            raise self._failed(error) from error
        return cast("list[Row]", found)

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """The first row of a short read."""
        rows = await self.read(query, params, epoch=epoch)
        return rows[0] if rows else None

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """One statement for all sets of parameters."""
        if not params:
            return []
        statement = query.postgresql
        if epoch is not None:
            statement, params = query.fenced, [{**each, "fence_epoch": epoch} for each in params]
        async with self.reading() as connection:
            return await _read_each(connection, statement, params, self._settings.scan_timeout)

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A read with the longer time limit."""
        statement, given = _asked(query, params, epoch)
        async with self.reading() as connection:
            # Two statements more, on a read that takes long anyway; SET LOCAL ends with the transaction.
            async with connection.transaction(readonly=True):
                milliseconds = int(self._settings.scan_timeout * 1000)
                await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                limit = self._settings.scan_timeout + 1
                rows = await connection.fetch(statement.sql, *arguments(statement, given), timeout=limit)
            return cast("list[Row]", rows)

    async def write(self, work: Work[T]) -> T:
        """Run a work in a transaction of its own and wait until it is durable."""
        if self._closed:
            raise errors.DataUnavailable(f"database {self.name} is closed", retry_after=5)
        if len(self._works) >= self._settings.pending_limit:
            raise errors.DataUnavailable(f"database {self.name} has too many writes waiting", retry_after=1)
        # A task, so that a caller that gives up does not break a transaction off in its middle.
        task = asyncio.create_task(self._written(work))
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        result: T = await asyncio.shield(task)
        return result

    def forget(self) -> None:
        """End every connection, those in use when they come back; new ones look for the server again."""
        self._readers.forget()
        self._writers.forget()

    async def close(self) -> None:
        """Finish accepted writes and let go of the connections."""
        self._closed = True
        if self._works:
            await asyncio.wait(self._works, timeout=self._settings.statement_timeout)
        await asyncio.gather(self._readers.close(_CLOSE_SECONDS), self._writers.close(_CLOSE_SECONDS))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for reads, for this package's own statements. Raises as every call of the port does."""
        try:
            async with self._readers.connection() as connection:
                yield connection
        except _FAILURES as error:
            raise self._failed(error) from error

    async def _written(self, work: Work[Any]) -> Any:
        try:
            return await self._transact(work)
        except errors.GuideError as error:
            if not _may_run_again(error):
                raise
        async for attempt in retrying(_may_run_again, seconds=self._settings.retry_seconds):
            with attempt:
                return await self._transact(work)
        raise AssertionError("retrying ends with an answer or an error")

    async def _transact(self, work: Work[Any]) -> Any:
        try:
            async with self._writers.connection() as connection:
                return await _in_transaction(connection, work)
        except _Committing as error:
            raise errors.DataUnavailable(
                f"database {self.name} was lost while it stored this: whether it did is unknown; send it again"
                " under the same id",
                retry_after=1,
            ) from error
        except _FAILURES as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> errors.GuideError:
        wrapped = wrap(error, self.name)
        if isinstance(wrapped, errors.Disconnected) and not isinstance(error, asyncpg.TooManyConnectionsError):
            # The idle connections lead to the same server that is gone, or is no primary any more.
            self.forget()
        return wrapped

    async def _introduced(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Learn to whom a new connection leads, before it is used."""
        if self._told is not None:
            limit = self._settings.connect_timeout
            self._told(await connection.fetchval(QUERIES["read_server_start"].postgresql.sql, timeout=limit))

    def _made(self, address: str, size: int, *, writing: bool) -> Checkout:
        settings = self._settings
        server_settings = {
            "application_name": "atomic-guide",
            "statement_timeout": str(int(settings.statement_timeout * 1000)),
            "lock_timeout": str(int(settings.lock_timeout * 1000)),
            "idle_in_transaction_session_timeout": "60000",
            "default_transaction_read_only": "off" if writing and not self._read_only else "on",
            # Reports over a course join a few rows each; compiling them takes longer than running them.
            "jit": "off",
        }
        connect = functools.partial(
            asyncpg.create_pool,
            address,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=300,
            timeout=settings.connect_timeout,
            command_timeout=settings.statement_timeout + 1,
            statement_cache_size=512,
            server_settings=server_settings,
            ssl=tls_of(address, settings),
            init=self._introduced if self._told is not None else None,
            reset=_keep,
            **({} if self._read_only else {"target_session_attrs": "primary"}),
        )
        return Checkout(connect, size, settings.pending_limit, settings.connect_timeout, self._name)


async def _keep(connection: Connection) -> None:
    """What a pool does to a connection that comes back: nothing, as no code here leaves session state behind."""
    del connection


# A commit that waits for its standby must not be broken off by the time limit of statements: the server would keep
# the transaction, unreplicated, and call that a success. So the limit here ends it, and the outcome is unknown.
_COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"


async def _in_transaction(connection: Connection, work: Work[T]) -> T:
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
    except (*_LOST, asyncpg.InterfaceError, TimeoutError) as error:
        # Whatever became of it, this connection is in no state to be used again.
        connection.terminate()
        raise _Committing from error
    connection.remove_log_listener(hear)
    if warnings:
        # Somebody cancelled the wait for the standby: stored here, perhaps nowhere else.
        raise _Committing
    return value


async def _roll_back(connection: Connection) -> None:
    """Undo what was done; where that fails the server does it when the connection ends."""
    try:
        if not is_gone(connection):
            await connection.execute("ROLLBACK")
    except _FAILURES:
        connection.terminate()


def _may_run_again(error: Exception) -> bool:
    return isinstance(error, errors.Disconnected) or isinstance(error.__cause__, _AGAIN)


_many: dict[str, Positional] = {}
"""The many-fold form of each statement, by its text: there are as many as the program has named queries."""


async def _read_each(
    connection: Connection, statement: Positional, params: Sequence[Params], limit: float | None = None
) -> list[list[Row]]:
    """Run a statement for every set of parameters at once: the sets become the rows of a table that it is joined to.

    The rows come with the number of their set, and in the statement's own order within it: a lateral join reads its
    right side anew for each row of its left.
    """
    many = _many.get(statement.sql)
    if many is None:
        prepared = await connection.prepare(statement.sql)
        kinds = [kind.name for kind in prepared.get_parameters()]
        many = _many[statement.sql] = Positional(statement.many(kinds), statement.names)
    columns = [[each[name] for each in params] for name in many.names]
    found: list[list[Row]] = [[] for _ in params]
    for row in await connection.fetch(many.sql, *columns, timeout=limit):
        found[row["set_number"] - 1].append(cast("Row", row))
    return found
