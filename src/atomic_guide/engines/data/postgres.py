"""PostgreSQL adapter: one database of a server, over asyncpg.

Guarantees:
- A write that has answered is on disk: the server's `synchronous_commit` stays on, and where it has a synchronous
  standby, on that one's disk too. A commit that gives up waiting for its standby is no answer.
- A work whose connection fails before its commit was sent, or that loses a deadlock, is run again within
  `retry_seconds` and a share of all writes (`retry_percent`). Where the connection fails during the commit, the
  caller is told that the outcome is unknown.
- A work that was begun is finished, whether or not its caller still waits, as on SQLite.
- Reads run on connections whose transactions are read only: what changes data is refused by the server.
- Every statement has a time limit on the server and one here; every wait for a connection too.

An address may name several hosts: `target_session_attrs=primary` finds the one that is the primary, also after a
failover. Keep passwords out of the settings with a password file (`PGPASSFILE`).
"""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import asyncpg
import msgspec

from atomic_guide import errors, tracing
from atomic_guide.engines.data.checkout import Checkout, Connection
from atomic_guide.engines.data.coalesce import Answer, PointReads
from atomic_guide.engines.data.database import Params, Row, Target, Work
from atomic_guide.engines.data.failures import AGAIN, FAILURES, wrap
from atomic_guide.engines.data.limits import READERS, SERVER_CALLS, WRITERS
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.queries import Positional, Query
from atomic_guide.engines.data.settings import PostgresSettings
from atomic_guide.engines.data.tls import tls_of
from atomic_guide.engines.data.traffic import ServerTraffic
from atomic_guide.engines.data.transaction import Committing, arguments, in_transaction, read_each, read_each_fenced
from atomic_guide.limit import Used
from atomic_guide.resilience import Breaker, RetryBudget, retrying

T = TypeVar("T")


_CLOSE_SECONDS = 10.0


def _asked(query: Query, params: Params | None, epoch: int | None) -> tuple[Positional, Params]:
    """The statement and its parameters, with the fence where there is one."""
    if epoch is None:
        return query.postgresql, params or {}
    return query.fenced, {**(params or {}), "fence_epoch": epoch}


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
        self._readers = self._made(address, self._settings.readers, writing=False)
        self._writers = self._made(address, self._settings.writers, writing=True)
        self.traffic = ServerTraffic(self._readers.lanes, self._writers.lanes)
        self.breaker = Breaker(name, failures=self._settings.breaker_failures, rest=self._settings.breaker_seconds)
        """Open while the server is away: what is asked then fails at once instead of after a time limit."""
        self._retries = RetryBudget(self._settings.retry_percent, self._settings.retry_burst)
        self._writes = 0
        self._points = PointReads(name, self._read, self._read_many, self._settings.pending_limit)
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
    def counts(self) -> dict[str, int]:
        """Writes since the process began, how often one was tried again, and how often that was over its share."""
        return {"writes": self._writes, **self._retries.counts}

    @property
    def target(self) -> Target:
        """Itself."""
        return Target(self, ())

    def used(self) -> Iterator[Used]:
        """Connections that are lent out, and what waits for one."""
        yield Used(READERS, self._readers.in_use, self.name)
        yield Used(WRITERS, self._writers.in_use, self.name)
        yield Used(SERVER_CALLS, max(self._readers.waiting, self._points.waiting, self.backlog), self.name)

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """Every row of a short read; where its query says so, together with others of the same moment."""
        if tracing.active():
            with self._span(query):
                return await self._timed(query, params, epoch)
        return await self._timed(query, params, epoch)

    def _span(self, query: Query) -> tracing.Span:
        return tracing.within("database read", "client", db__namespace=self.name, db__operation__name=query.name)

    async def _timed(self, query: Query, params: Params | None, epoch: int | None) -> list[Row]:
        asked = time.perf_counter()
        try:
            if query.batch:
                return await self._points.read(query, params or {}, epoch)
            return await self._read(query, params or {}, epoch)
        finally:
            self.traffic.reads.add(time.perf_counter() - asked)

    async def _read(self, query: Query, params: Params, epoch: int | None) -> list[Row]:
        statement, given = _asked(query, params, epoch)
        if not self.breaker.allows():
            raise self._shut()
        # As `reading`, spelled out: a context manager more would be a tenth of a point read.
        try:
            connection = await self._readers.take()
            try:
                found = await connection.fetch(statement.sql, *arguments(statement, given))
            finally:
                self._readers.give_back(connection)
        except FAILURES as error:
            raise self._failed(error) from error
        self.breaker.succeeded()
        return cast("list[Row]", found)

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """The first row of a short read."""
        rows = await self.read(query, params, epoch=epoch)
        return rows[0] if rows else None

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """One statement for all sets of parameters."""
        asked = time.perf_counter()
        try:
            with self._span(query):
                answers = await self._read_many(query, params, None if epoch is None else [epoch] * len(params))
        finally:
            self.traffic.reads.add(time.perf_counter() - asked)
        found: list[list[Row]] = []
        for answer in answers:
            if not isinstance(answer, list):
                raise answer
            found.append(answer)
        return found

    async def _read_many(
        self, query: Query, params: Sequence[Params], epochs: Sequence[int] | None
    ) -> Sequence[Answer]:
        if not params:
            return []
        async with self.reading() as connection:
            if epochs is None:
                return await read_each(connection, query, params)
            found = await read_each_fenced(connection, query, params, epochs)
        return [
            rows if rows is not None else self._refused(each, epoch)
            for rows, each, epoch in zip(found, params, epochs, strict=True)
        ]

    def _refused(self, params: Params, epoch: int) -> errors.Fenced:
        message = f"database {self.name}: bucket {params['bucket']} is not read here at epoch {epoch}"
        return errors.Fenced(message, retry_after=1)

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A read with the longer time limit."""
        asked = time.perf_counter()
        try:
            with self._span(query):
                return await self._scan(*_asked(query, params, epoch))
        finally:
            self.traffic.reads.add(time.perf_counter() - asked)

    async def _scan(self, statement: Positional, given: Params) -> list[Row]:
        async with self.reading(self._settings.scan_timeout + 1) as connection:
            # Two statements more, on a read that takes long anyway; SET LOCAL ends with the transaction.
            async with connection.transaction(readonly=True):
                milliseconds = int(self._settings.scan_timeout * 1000)
                await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL enable_seqscan = on")
                rows = await connection.fetch(statement.sql, *arguments(statement, given))
            return cast("list[Row]", rows)

    async def write(self, work: Work[T]) -> T:
        """Run a work in a transaction of its own and wait until it is durable."""
        if self._closed:
            raise errors.DataUnavailable(f"database {self.name} is closed", retry_after=5)
        if len(self._works) >= self._settings.pending_limit:
            refusal = errors.DataUnavailable(f"database {self.name} has too many writes waiting", retry_after=1)
            raise SERVER_CALLS.over(refusal)
        # A task, so that a caller that gives up does not break a transaction off in its middle.
        task = asyncio.create_task(self._traced(work) if tracing.active() else self._written(work))
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        asked = time.perf_counter()
        try:
            result: T = await asyncio.shield(task)
        finally:
            self.traffic.writes.add(time.perf_counter() - asked)
        return result

    async def vacuum(self, table: str, dead: int, share: float) -> bool:
        """Let the room of a table's dead rows be used again, from so many and such a share of those that live on.

        One that is being vacuumed already is left to that; so is one of another owner, to autovacuum.
        """
        row = await self.one(QUERIES["read_dead_rows"], {"table": table})
        if row is None or row["dead"] < max(dead, share * row["live"]):
            return False
        seconds = self._settings.scan_timeout
        async with self.reading(seconds + 1) as connection:
            await connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
            try:
                # A statement of its own: it refuses to be in a transaction. It may change no row, and so may a reader.
                # The pages are filled again at once; to give them back would keep all others from the table.
                await connection.execute(f'VACUUM (SKIP_LOCKED, TRUNCATE FALSE, PARALLEL 0) "{table}"')
            finally:
                await connection.execute("RESET statement_timeout")
        return True

    def forget(self) -> None:
        """End every connection, those in use when they come back; new ones look for the server again."""
        self._readers.forget()
        self._writers.forget()

    def apart(self) -> PostgresDatabase:
        """The same database, with a connection for each kind of work."""
        settings = msgspec.structs.replace(self._settings, readers=1, writers=1)
        return PostgresDatabase(self._name, self.address, settings, read_only=self._read_only)

    async def close(self) -> None:
        """Finish accepted writes and let go of the connections."""
        self._closed = True
        if self._works:
            await asyncio.wait(self._works, timeout=self._settings.statement_timeout)
        await asyncio.gather(self._readers.close(_CLOSE_SECONDS), self._writers.close(_CLOSE_SECONDS))

    @asynccontextmanager
    async def reading(self, limit: float | None = None) -> AsyncIterator[Connection]:
        """A connection for reads, for this package's own statements. Raises as every call of the port does.

        It is cut off after `limit` seconds, or a second after the limit of a statement.
        """
        if not self.breaker.allows():
            raise self._shut()
        try:
            async with self._readers.connection(limit) as connection:
                yield connection
        except FAILURES as error:
            raise self._failed(error) from error
        self.breaker.succeeded()

    async def _traced(self, work: Work[Any]) -> Any:
        with tracing.span("database write", "client", db__namespace=self.name):
            return await self._written(work)

    async def _written(self, work: Work[Any]) -> Any:
        self._writes += 1
        self._retries.called()
        try:
            return await self._transact(work)
        except errors.GuideError as error:
            if not _may_run_again(error):
                raise
        async for attempt in retrying(_may_run_again, seconds=self._settings.retry_seconds):
            with attempt:
                return await self._transacted_again(work)
        raise AssertionError("retrying ends with an answer or an error")

    async def _transacted_again(self, work: Work[Any]) -> Any:
        # While the breaker is open nobody is asked, so that waiting for it takes nothing of the budget.
        if self.breaker.allows() and not self._retries.take():
            share = self._settings.retry_percent
            message = f"database {self.name} failed, and more than {share:g}% of its writes are tried again already"
            raise errors.DataUnavailable(message, retry_after=max(1.0, self._settings.breaker_seconds))
        return await self._transact(work)

    async def _transact(self, work: Work[Any]) -> Any:
        if not self.breaker.allows():
            raise self._shut()
        try:
            async with self._writers.connection() as connection:
                result = await in_transaction(connection, work)
        except Committing as error:
            raise errors.DataUnavailable(
                f"database {self.name} was lost while it stored this: whether it did is unknown; send it again"
                " under the same id",
                retry_after=1,
            ) from error
        except FAILURES as error:
            raise self._failed(error) from error
        self.breaker.succeeded()
        return result

    def _failed(self, error: BaseException) -> errors.GuideError:
        wrapped = wrap(error, self.name)
        if isinstance(wrapped, errors.Disconnected) and not isinstance(error, asyncpg.TooManyConnectionsError):
            # The idle connections lead to the same server that is gone, or is no primary any more.
            self.forget()
        if isinstance(wrapped, errors.Disconnected) or isinstance(error, TimeoutError):
            self.breaker.failed()
        return wrapped

    def _shut(self) -> errors.GuideError:
        rest = self._settings.breaker_seconds
        message = f"database {self.name} did not answer {self._settings.breaker_failures} times in a row"
        return errors.Disconnected(f"{message}; it is asked again within {rest:g} s", retry_after=max(1.0, rest))

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
            # A plan is kept, and may have been made when a table was a page long: read whole, not by its index.
            # Short reads and writes are for rows that an index finds; a scan takes this back.
            "enable_seqscan": "off",
        }
        # Reads are timed by what lends the connections out, the statements of a transaction each by itself.
        limit = settings.statement_timeout + 1
        connect = functools.partial[Awaitable[Connection]](
            asyncpg.connect,
            address,
            timeout=settings.connect_timeout,
            command_timeout=limit if writing else None,
            statement_cache_size=512,
            server_settings=server_settings,
            ssl=tls_of(address, settings),
            connection_class=Connection,
            **({} if self._read_only else {"target_session_attrs": "primary"}),
        )
        lent = math.inf if writing else limit
        made = connect if self._told is None else functools.partial(_introduced, connect, self._told)
        checkout = Checkout(self._name, made, size, settings.pending_limit, settings.connect_timeout, lent)
        checkout.lanes_limit = WRITERS if writing else READERS
        return checkout


async def _introduced(connect: Callable[[], Awaitable[Connection]], told: Callable[[str], None]) -> Connection:
    """A new connection, after it has been told to whom it leads."""
    connection = await connect()
    try:
        told(await connection.fetchval(QUERIES["read_server_start"].postgresql.sql))
    except BaseException:
        connection.terminate()
        raise
    return connection


def _may_run_again(error: Exception) -> bool:
    return isinstance(error, errors.Disconnected) or isinstance(error.__cause__, AGAIN)
