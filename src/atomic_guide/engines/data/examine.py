"""Looking into a database file without changing it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.migrations import Kind, head, version
from atomic_guide.engines.data.queries import Query
from atomic_guide.errors import DataUnavailable


class Examined(NamedTuple):
    """`damage` is None where none was found; `complete` is false where the time limit came first."""

    damage: str | None
    version: str | None
    head: str
    complete: bool


def examine_file(path: Path, kind: Kind, limit: float = 60.0) -> Examined:
    """Read every page of an SQLite file, for at most `limit` seconds. Works beside a server that writes to it."""
    deadline = time.monotonic() + limit
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            found = version(connection)
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return Examined(None, found, head(kind), complete=False)
        return Examined(str(error), None, head(kind), complete=True)
    return Examined(None if said == "ok" else str(said), found, head(kind), complete=True)


def read_file(path: Path, query: Query) -> list[Row]:
    """The rows of a statement without parameters, from a file that need not be open; none where there is no file.

    Raises `DataUnavailable` for a damaged file, or one without the table.
    """
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            rows: list[Row] = connection.execute(query.sqlite).fetchall()
            return rows
    except sqlite3.Error as error:
        raise DataUnavailable(f"{path.name} cannot be read ({error})") from error
