"""Carrying rows between SQLite files: a copy while the source is used, and what has changed since under the fence.

A file keeps no log that could be followed, so that writes of the scope wait while both files are compared row by row:
13,000 rows take about 50 ms, in one transaction of the target's file. First, what the target has and the source has
not, or not so, is removed; then what is missing is added. So the target has nothing that the source has not, and when
it has as many rows, it has the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from atomic_guide.engines.data.moves.carrier import Say, Task, differ
from atomic_guide.engines.data.moves.ledger import QUERIES
from atomic_guide.engines.data.moves.move import Superseded
from atomic_guide.engines.data.moves.rows import tables
from atomic_guide.engines.data.sqlite import connect, wrap
from atomic_guide.engines.data.sqlite_settings import SqliteSettings

_SETTLE_SECONDS = 5.0

_STEPS = 10_000
"""Instructions of SQLite between two looks at the time limit: about a millisecond."""


class FileCarrier:
    """Between two files of one machine."""

    def __init__(self, task: Task, source: Path, target: Path) -> None:
        self._task = task
        self._source = source
        self._target = target

    async def copy(self, say: Say) -> None:
        """Copy what there is, in a thread."""
        del say
        await asyncio.to_thread(self._carried, self._task.limits.stall, exact=False)
        await asyncio.to_thread(self._settled)

    async def finish(self, say: Say) -> int:
        """Copy what has changed and compare, in a thread."""
        say("finish", "what has changed is copied, and both files are compared")
        return await asyncio.to_thread(self._carried, self._task.limits.pause, exact=True)

    async def clear(self) -> None:
        """Nothing: a copy that was not committed has left nothing."""

    def _carried(self, limit: float, *, exact: bool) -> int:
        connection = connect(self._target, SqliteSettings(busy_timeout=limit))
        deadline = time.monotonic() + limit
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        try:
            connection.execute("ATTACH DATABASE ? AS source", (str(self._source),))
            if exact:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            # Not IMMEDIATE, which would keep writers out of the source's file, too: the first statement is a write.
            connection.execute("BEGIN")
            self._hold(connection)
            for table in tables():
                connection.execute(self._task.rows.drop_different(table), self._task.rows.params)
                connection.execute(self._task.rows.add_missing(table), self._task.rows.params)
            copied = self._counted(connection) if exact else 0
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise wrap(error, self._task.target.shard.name) from error
        finally:
            connection.close()
        return copied

    def _settled(self) -> None:
        """Bring both logs into their files before writes have to wait.

        A commit under the fence that passes the limit of a log would do it then, and wait for the disk (seen: 220 ms).
        Writers are not held up by this one.
        """
        for path in (self._source, self._target):
            connection = connect(path, SqliteSettings(busy_timeout=_SETTLE_SECONDS))
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                raise wrap(error, path.stem) from error
            finally:
                connection.close()

    def _hold(self, connection: sqlite3.Connection) -> None:
        """Raise `Superseded` where the target expects these rows no more, or from another mover."""
        move = self._task.move
        params = {**move.scope.params, "token": move.token, "now": time.time()}
        held = connection.execute(QUERIES["hold_token"].sqlite, params).fetchall()
        entry = connection.execute(QUERIES["read_entry"].sqlite, params).fetchone()
        if not held or entry is None or entry["state"] != "arriving":
            raise Superseded(f"move {move.id} has been taken over by another mover")

    def _counted(self, connection: sqlite3.Connection) -> int:
        """The rows of both files. Raises `DataUnavailable` where they differ."""
        counted = [
            connection.execute(self._task.rows.counts(each), self._task.rows.params).fetchone() for each in tables()
        ]
        if any(here != there for here, there in counted):
            raise differ(self._task)
        return sum(here for here, _ in counted)
