"""Looking a database file over without changing it, for a person who wonders what is wrong."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from atomic_guide.engines.data.migrations import Kind, head, version


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
