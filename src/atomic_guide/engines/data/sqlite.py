"""SQLite adapter: one file, one writer thread with group commit, readers inline on the event loop.

Guarantees:
- A write that has answered is on disk (`synchronous=FULL`: the WAL is fsynced at each commit).
- Works that wait together share one transaction and one fsync; each of several has its own savepoint, so that one
  that fails does not take its neighbours along. When the engine undoes the whole transaction (disk full), each work
  of the group is run again alone, so that only the one that cannot be stored fails.
- Several processes may write the same file: `BEGIN IMMEDIATE` with a bounded wait.
- Reads see everything that was committed before they began, in WAL mode without waiting for the writer.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from atomic_guide import errors, tracing
from atomic_guide.engines.data.checkpoints import LIMIT_PAGES, Checkpoints
from atomic_guide.engines.data.database import Params, Row, Target, Transaction, Work
from atomic_guide.engines.data.limits import FILE_BYTES, FILE_WRITES
from atomic_guide.engines.data.queries import Query, load_queries
from atomic_guide.engines.data.sqlite_settings import SqliteSettings
from atomic_guide.engines.data.sqlite_transaction import SqliteTransaction
from atomic_guide.engines.data.timeline import checkpoint_pages, is_logged
from atomic_guide.engines.data.traffic import FileTraffic
from atomic_guide.limit import Used

_MAY_READ = load_queries(__package__)["may_read"].sqlite

_INLINE_READS = 100
"""Reads at 20 us that the event loop does itself; more would hold it up for over 2 ms."""

_HELD = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class _Pending(NamedTuple):
    work: Work[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    asked: float
    context: contextvars.Context | None
    """Of the caller, where what it does is traced: the work runs in the writer's thread."""


class _Outcome(NamedTuple):
    pending: _Pending
    value: Any
    error: BaseException | None


def connect(path: Path, settings: SqliteSettings, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a file as every part of the product opens it. Raises `DataUnavailable` for a file that is no database."""
    try:
        connection = sqlite3.connect(
            path, timeout=settings.busy_timeout, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages(path)}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-16000")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        else:
            # What is deleted is overwritten with zeros, so that an erased person is in no free page either.
            connection.execute("PRAGMA secure_delete=ON")
            if settings.size_limit:
                (page,) = connection.execute("PRAGMA page_size").fetchone()
                # Never below what is there: a file that is larger already only grows no more.
                connection.execute(f"PRAGMA max_page_count={max(1, settings.size_limit // page)}")
    except sqlite3.Error as error:
        raise wrap(error, path.name) from error
    return connection


def wrap(error: sqlite3.Error, name: str) -> errors.GuideError:
    """The product's error for one of the driver's."""
    code = _code(error)
    if isinstance(error, sqlite3.IntegrityError):
        return errors.Conflict(f"database {name}: {error}")
    if code == sqlite3.SQLITE_FULL:
        full = "the disk, or what databases.sqlite.size_limit allows, is full"
        return errors.OutOfSpace(f"database {name}: {full}; free some space, nothing was stored", retry_after=30)
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return errors.DataUnavailable(
            f"database {name} is damaged ({error}); stop the server and put back a backup of this file"
        )
    if code in _HELD:
        return errors.DataUnavailable(f"database {name} is held by another process; try again", retry_after=1)
    return errors.DataUnavailable(f"database {name}: {error}", retry_after=5)


def _code(error: sqlite3.Error) -> int:
    # The low byte; the others say more about the same.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class SqliteDatabase:
    """One SQLite file as a `Database`."""

    def __init__(self, path: Path, settings: SqliteSettings | None = None) -> None:
        self.path = path
        self._name = path.stem
        self.traffic = FileTraffic()
        self._settings = settings or SqliteSettings()
        self._reader = connect(path, self._settings, read_only=True)
        self._writer = self._connected()
        self._checkpoints = None if is_logged(path) else Checkpoints(self.name, self._bring_back)
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._gathered: collections.deque[_Pending] = collections.deque()
        self._closed = False
        self._broken = False
        self._thread = threading.Thread(target=self._write_until_closed, name=f"sqlite-{self._name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._name

    @property
    def target(self) -> Target:
        """Itself."""
        return Target(self, ())

    @property
    def backlog(self) -> int:
        """Works that wait for the writer."""
        return self._queue.qsize() + len(self._gathered)

    def used(self) -> Iterator[Used]:
        """Works that wait."""
        yield Used(FILE_WRITES, self.backlog, self.name)
        if self._settings.size_limit:
            yield Used(FILE_BYTES, self.path.stat().st_size, self.name)

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A short read, inline: it costs about 20 us, a thread hop would cost three times that."""
        if tracing.active():
            with tracing.within("database read", "client", db__namespace=self.name, db__operation__name=query.name):
                return self._read(query, params, epoch)
        return self._read(query, params, epoch)

    def _read(self, query: Query, params: Params | None, epoch: int | None) -> list[Row]:
        asked = time.perf_counter()
        try:
            rows = cast("list[Row]", self._reader.execute(query.sqlite, params or {}).fetchall())
        except sqlite3.Error as error:
            raise wrap(error, self.name) from error
        self.traffic.reads.add(time.perf_counter() - asked)
        if epoch is not None:
            self._check_owner(params or {}, epoch)
        return rows

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """The first row of a short read."""
        rows = await self.read(query, params, epoch=epoch)
        return rows[0] if rows else None

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """Short reads one after the other; many of them in a thread, so that the event loop goes on."""
        with tracing.within("database read", "client", db__namespace=self.name, db__operation__name=query.name):
            if len(params) <= _INLINE_READS:
                return [self._read(query, each, epoch) for each in params]
            found = await self._scanned(query, params)
        if epoch is not None:
            for course in {(each["bucket"], each["tenant"], each["course"]) for each in params}:
                self._check_owner(dict(zip(("bucket", "tenant", "course"), course, strict=True)), epoch)
        return found

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A long read in a thread, on a connection of its own."""
        with tracing.within("database read", "client", db__namespace=self.name, db__operation__name=query.name):
            (rows,) = await self._scanned(query, [params or {}])
        if epoch is not None:
            self._check_owner(params or {}, epoch)
        return rows

    async def write(self, work: Work[Any]) -> Any:
        """Queue a work for the writer thread and wait until it is durable."""
        if not tracing.active():
            return await self._queued(work, None)
        with tracing.span("database write", "client", db__namespace=self.name):
            return await self._queued(work, contextvars.copy_context())

    async def _queued(self, work: Work[Any], context: contextvars.Context | None) -> Any:
        if self._closed:
            message = f"database {self.name} is closed"
            raise errors.DataUnavailable(message, retry_after=5)
        if self.backlog >= self._settings.pending_limit:
            message = f"database {self.name} has too many writes waiting"
            raise FILE_WRITES.over(errors.DataUnavailable(message, retry_after=1))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        asked = time.perf_counter()
        self._gathered.append(_Pending(work, future, loop, asked, context))
        if len(self._gathered) == 1:
            # At the end of this turn of the loop: the writer gets all works of the turn as one group. Given to it
            # one by one, they cost 60% more (bench.launch: 4,300 against 6,900 launches per second), because
            # the writer and a busy loop then take the interpreter from each other at every statement.
            loop.call_soon(self._hand_over)
        try:
            return await future
        finally:
            self.traffic.writes.add(time.perf_counter() - asked)

    def apart(self) -> SqliteDatabase:
        """The same file, opened anew."""
        return SqliteDatabase(self.path, self._settings)

    async def vacuum(self, table: str, dead: int, share: float) -> bool:  # noqa: ARG002 - as every engine takes them
        """Nothing: a file leaves no dead rows."""
        return False

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, 30)
            if self._checkpoints is not None:
                await asyncio.to_thread(self._checkpoints.close)
            self._writer.close()
            self._reader.close()

    def _connected(self) -> sqlite3.Connection:
        connection = connect(self.path, self._settings)
        connection.execute(f"PRAGMA wal_autocheckpoint={max(LIMIT_PAGES, checkpoint_pages(self.path))}")
        return connection

    def _bring_back(self) -> bool:
        """Bring what is in the WAL back into the file; whether that was all of it."""
        connection = self._connected()
        try:
            _, pages, brought = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()
        return bool(brought >= pages)

    def _check_owner(self, params: Params, epoch: int) -> None:
        """Raise `Fenced` unless the file still owned the course after its rows were read.

        That is enough: rows leave a file only after it has let go of their bucket.
        """
        asked = {name: params[name] for name in ("bucket", "tenant", "course")}
        row = self._reader.execute(_MAY_READ, {**asked, "fence_epoch": epoch}).fetchone()
        if row is None or not row[0]:
            raise errors.Fenced(
                f"database {self.name}: bucket {params['bucket']} is not read here at epoch {epoch}", retry_after=1
            )

    def _hand_over(self) -> None:
        while True:
            try:
                self._queue.put(self._gathered.popleft())
            except IndexError:
                return

    async def _scanned(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        asked = time.perf_counter()
        try:
            return await asyncio.to_thread(self._scan_each, query, params)
        finally:
            # Also of one that was broken off at its time limit: that is how long it took.
            self.traffic.reads.add(time.perf_counter() - asked)

    def _scan_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        connection = connect(self.path, self._settings, read_only=True)
        deadline = time.monotonic() + self._settings.scan_timeout
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            return [cast("list[Row]", connection.execute(query.sqlite, each).fetchall()) for each in params]
        except sqlite3.Error as error:
            raise wrap(error, self.name) from error
        finally:
            connection.close()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            while len(group) < self._settings.group_limit:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    closing = True
                    break
                group.append(following)
            _deliver(self._commit(group))
            if self._checkpoints is not None:
                self._checkpoints.note(len(group))

    def _commit(self, group: list[_Pending]) -> list[_Outcome]:
        try:
            if self._broken:
                self._writer = self._connected()
                self._broken = False
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            finally:
                self.traffic.begin(pending.asked for pending in group)
            outcomes = [self._run(group[0])] if len(group) == 1 else [self._run_beside(pending) for pending in group]
            if self._writer.in_transaction or outcomes[0].error is None:
                self._writer.execute("COMMIT")
            self.traffic.end()
        except errors.GuideError as error:
            return [_Outcome(pending, None, error) for pending in group]
        except sqlite3.Error as error:
            self._rollback()
            # Another process holds the file: each work alone would wait for it as long again.
            if len(group) > 1 and _code(error) not in _HELD:
                return [outcome for pending in group for outcome in self._commit([pending])]
            return [_Outcome(pending, None, _caused(self._wrapped(error), error)) for pending in group]
        return outcomes

    def _run(self, pending: _Pending) -> _Outcome:
        """A lone work, undone with its transaction where it fails. Raises sqlite3.Error where that is gone already."""
        try:
            return _Outcome(pending, _driven(pending, SqliteTransaction(self._writer)), None)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and goes to the caller
            self._check_open(error)
            self._writer.execute("ROLLBACK")
            return self._failed(pending, error)

    def _run_beside(self, pending: _Pending) -> _Outcome:
        """One of several works, in its savepoint. Raises sqlite3.Error only where the whole transaction is gone."""
        self._writer.execute("SAVEPOINT work")
        try:
            value = _driven(pending, SqliteTransaction(self._writer))
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and goes to the caller
            self._check_open(error)
            self._writer.execute("ROLLBACK TO work")
            self._writer.execute("RELEASE work")
            return self._failed(pending, error)
        self._writer.execute("RELEASE work")
        return _Outcome(pending, value, None)

    def _check_open(self, error: BaseException) -> None:
        """Raise sqlite3.Error where an error has ended the transaction."""
        if not self._writer.in_transaction:
            if isinstance(error, sqlite3.Error):
                raise error
            message = "the transaction was lost inside a work"
            raise sqlite3.OperationalError(message) from error

    def _failed(self, pending: _Pending, error: BaseException) -> _Outcome:
        if isinstance(error, sqlite3.Error):
            return _Outcome(pending, None, _caused(self._wrapped(error), error))
        return _Outcome(pending, None, error)

    def _wrapped(self, error: sqlite3.Error) -> errors.GuideError:
        wrapped = wrap(error, self.name)
        full = isinstance(wrapped, errors.OutOfSpace) and self._settings.size_limit
        return FILE_BYTES.over(wrapped) if full else wrapped

    def _rollback(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            # A failed rollback leaves the connection unusable; the next group starts on a new one.
            self._writer.close()
            self._broken = True


def _caused(error: errors.GuideError, cause: BaseException) -> errors.GuideError:
    error.__cause__ = cause
    return error


def _driven(pending: _Pending, transaction: Transaction) -> Any:
    if pending.context is None:
        return _drive(pending.work, transaction)
    return pending.context.run(_drive, pending.work, transaction)


def _drive(work: Work[Any], transaction: Transaction) -> Any:
    """Run a work to its end without an event loop; RuntimeError where it waits for anything but its transaction."""
    steps = work(transaction).__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    if hasattr(steps, "close"):
        steps.close()
    message = "a unit of work may await nothing but its transaction"
    raise RuntimeError(message)


def _deliver(outcomes: list[_Outcome]) -> None:
    """Hand the results back, with one wake-up for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.pending.loop, []).append(outcome)
    for loop, own in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, own)
        except RuntimeError:
            # The loop has ended while its writes were on the way: they are stored, nobody waits for the answer.
            continue


def _resolve(outcomes: list[_Outcome]) -> None:
    for pending, value, error in outcomes:
        if pending.future.done():
            continue
        if error is None:
            pending.future.set_result(value)
        else:
            pending.future.set_exception(error)
