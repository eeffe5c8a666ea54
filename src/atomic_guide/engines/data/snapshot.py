"""Copies of SQLite files that are in use, and what can be asked of such a copy without opening it as a database.

Guarantees:
- A copy is the file as it was at one moment, whatever other processes write meanwhile; they are not held up.
- It is written anew from its rows (VACUUM INTO), so what was deleted before is not in it, not even in free pages.
- It is on disk when `copy_database` returns.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from atomic_guide.durable import sync
from atomic_guide.engines.data.migrations import version
from atomic_guide.engines.data.sqlite import wrap
from atomic_guide.errors import NotFound

_BUSY_SECONDS = 30.0
"""How long a look at a file waits for somebody who holds it whole, such as a migration."""


def copy_database(source: Path, target: Path, limit: float = 3600.0) -> None:
    """Copy a file that may be in use to `target`, which must not exist. Raises `DataUnavailable` after `limit` s."""
    deadline = time.monotonic() + limit
    try:
        with _reading(source) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000_000)
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise wrap(error, source.name) from error
    target.chmod(0o600)
    sync(target)


def damage_of(path: Path) -> str | None:
    """What is wrong with a database file after reading all of it (PRAGMA integrity_check); None where nothing is."""
    try:
        with _reading(path) as connection:
            said = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return None if said == "ok" else said


def version_of(path: Path) -> str | None:
    """The schema version of a database file. Raises `DataUnavailable` where it is none."""
    try:
        with _reading(path) as connection:
            return version(connection)
    except sqlite3.Error as error:
        raise wrap(error, path.name) from error


def map_of(directory: Path) -> str:
    """A digest of the directory's bucket map, which tells whether courses moved between two looks."""
    digest = hashlib.sha256()
    try:
        with _reading(directory) as connection:
            for table in ("bucket_map", "bucket_overrides"):
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):  # noqa: S608 - our own names
                    digest.update(repr(tuple(row)).encode())
    except sqlite3.Error as error:
        raise wrap(error, directory.name) from error
    return digest.hexdigest()


def secret_of(directory: Path, name: str) -> str | None:
    """A secret out of a directory file; None where it has none of that name, or cannot be read."""
    with contextlib.suppress(sqlite3.Error, NotFound), _reading(directory) as connection:
        row = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None
    return None


def fold(path: Path, patience: float = 2.0) -> bool:
    """Write a file's log back into it and empty the log; False where others read the log for all of `patience` s."""
    deadline = time.monotonic() + patience
    try:
        with _reading(path) as connection:
            # At once or not at all: a checkpoint that waits for a reader keeps every writer waiting meanwhile.
            connection.execute("PRAGMA busy_timeout=0")
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
    except sqlite3.Error as error:
        raise wrap(error, path.name) from error
    return True


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise NotFound(f"there is no database {path}")
    # Not `mode=ro`: the last writer may have left a log, and reading that takes the right to write beside the file.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
