"""Schema versions: one chain for the directory, one for shards, both Alembic, for both engines.

A revision file is named `NNNN_what.py` and its revision id is `NNNN`, so that the newest version is known
without importing Alembic: a start on an up-to-date database costs one query for each file.

Releases expand and contract. An expanding revision leaves everything that programs of the floor use as it is; it may
be applied while they run, and a release may be rolled back after it. A contracting one says `phase = "contract"`,
raises `schema_floor`, and waits for `migrate --contract`: no older program may run any more.

On PostgreSQL the statements are made without a connection and sent through the product's own driver, so a revision
must not read the database while it runs.
"""

from __future__ import annotations

import io
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from atomic_guide import errors

if TYPE_CHECKING:
    from alembic.config import Config

Kind = Literal["directory", "shard"]

_HERE = Path(__file__).parent


class Stand(NamedTuple):
    """Where a database stands: its revision (None: it is new), and the oldest one whose programs may use it."""

    revision: str | None
    floor: str | None


def head(kind: Kind) -> str:
    """The newest revision of a chain."""
    return max(_revisions(kind))


def needed(kind: Kind) -> str:
    """The oldest revision that this program can serve: contracting ones may wait."""
    return max(name for name, contracts in _revisions(kind).items() if not contracts)


def goal(kind: Kind, current: str | None, *, contract: bool) -> str:
    """How far to migrate: to the head, or without `contract` to before the first contracting revision that waits."""
    revisions = _revisions(kind)
    if contract:
        return max(revisions)
    ahead = [name for name, contracts in revisions.items() if contracts and name > (current or "")]
    # A new database has no older program; contracting revisions are nothing to wait for.
    return max(name for name in revisions if not ahead or current is None or name < min(ahead))


def is_current(kind: Kind, stand: Stand, name: str) -> bool:
    """Whether a database may be served as it is; False where it must be migrated first.

    Raises `DataUnavailable` for one that a newer program has written and this one may not use.
    """
    if stand.revision is None:
        return False
    if stand.revision <= head(kind):
        return stand.revision >= needed(kind)
    if stand.floor is not None and stand.floor <= head(kind):
        return True
    raise errors.DataUnavailable(
        f"{name} was written by a newer version (schema {stand.revision}, known here: {head(kind)}); install it"
    )


def version(connection: sqlite3.Connection) -> str | None:
    """The revision of an SQLite file; None where it is new."""
    return stand_of(connection).revision


def stand_of(connection: sqlite3.Connection) -> Stand:
    """Where an SQLite file stands."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE name IN ('alembic_version', 'schema_floor')")
    known = {name for (name,) in rows}
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    floor = connection.execute("SELECT revision FROM schema_floor").fetchone() if "schema_floor" in known else None
    return Stand(str(found[0]) if found else None, str(floor[0]) if floor else None)


def upgrade_file(path: Path, kind: Kind) -> bool:
    """Bring an SQLite file to the newest revision; True where something was done.

    Raises `DataUnavailable` for a damaged file, or one that a newer version of the program has written.
    """
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            current = stand_of(connection)
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        message = (
            f"{path.name} in the data directory is damaged or no database ({error}); put back a backup of this file"
        )
        raise errors.DataUnavailable(message) from error
    # A data directory is served by one program, so that nothing is waited for.
    is_current(kind, current, path.name)
    if current.revision is not None and current.revision >= head(kind):
        return False
    _upgrade(f"sqlite:///{path}", kind)
    return True


def statements(kind: Kind, current: str | None, target: str) -> str:
    """What brings a PostgreSQL database from one revision to another, as statements without BEGIN and COMMIT."""
    from alembic import command  # noqa: PLC0415 - importing Alembic takes 0.4 s, and most starts need no migration

    config = _configured(kind)
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{current}:{target}" if current else target, sql=True)
    return config.output_buffer.getvalue()


def _upgrade(url: str, kind: Kind) -> None:
    from alembic import command  # noqa: PLC0415 - as above

    config = _configured(kind)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


def _configured(kind: Kind) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_HERE / kind))
    config.attributes["configure_logger"] = False
    return config


def _revisions(kind: Kind) -> dict[str, bool]:
    """Every revision of a chain, and whether it contracts."""
    found = {}
    for path in sorted((_HERE / kind / "versions").glob("*.py")):
        if match := re.match(r"(\d{4})_", path.name):
            found[match[1]] = re.search(r'(?m)^phase = "contract"$', path.read_text("utf-8")) is not None
    return found
