"""Schema versions: one chain for the directory, one for shards, both Alembic.

A revision file is named `NNNN_what.py` and its revision id is `NNNN`, so that the newest version is known
without importing Alembic: a start on an up-to-date database costs one query for each file.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Literal

from atomic_guide import errors

Kind = Literal["directory", "shard"]

_HERE = Path(__file__).parent


def head(kind: Kind) -> str:
    """The newest revision of a chain."""
    return max(
        match[1] for path in (_HERE / kind / "versions").glob("*.py") if (match := re.match(r"(\d{4})_", path.name))
    )


def version(connection: sqlite3.Connection) -> str | None:
    """The revision of an SQLite file; None where it is new."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return str(row[0]) if row else None


def upgrade_file(path: Path, kind: Kind) -> bool:
    """Bring an SQLite file to the newest revision; True where something was done.

    Raises `DataUnavailable` for a damaged file, or one that a newer version of the program has written.
    """
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            current = version(connection)
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        message = (
            f"{path.name} in the data directory is damaged or no database ({error}); put back a backup of this file"
        )
        raise errors.DataUnavailable(message) from error
    if current == head(kind):
        return False
    if current is not None and current > head(kind):
        message = f"{path.name} was written by a newer version (schema {current}, known here: {head(kind)}); install it"
        raise errors.DataUnavailable(message)
    _upgrade(f"sqlite:///{path}", kind)
    return True


def _upgrade(url: str, kind: Kind) -> None:
    from alembic import command  # noqa: PLC0415 - importing Alembic takes 0.4 s, and most starts need no migration
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_HERE / kind))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["configure_logger"] = False
    command.upgrade(config, "head")
