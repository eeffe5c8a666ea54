"""A copy of PostgreSQL databases as files: the same form as embedded ones, so that one kind of backup serves both.

Each database is read in one snapshot (REPEATABLE READ), the shards first and the directory last. The shards are named
shard-0, shard-1 and so on in the copy, in the order of the settings, in the map too.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from atomic_guide.durable import sync
from atomic_guide.engines.data.migrations import Kind, upgrade_file
from atomic_guide.engines.data.servers import connected
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import wrap
from atomic_guide.engines.data.sqlite_transaction import insertion
from atomic_guide.engines.data.tables import Shape, read_all, shapes

_FETCHED = 5000
"""Rows fetched at a time."""

_SHARD_COLUMNS = {
    "bucket_map": ("shard",),
    "bucket_overrides": ("shard",),
    "shards": ("name",),
    "moves": ("source", "target"),
}


async def dump_servers(settings: DataSettings, folder: Path, tell: Callable[[str], None]) -> None:
    """Write every database that is declared into `folder`. Raises `DataUnavailable` naming one that does not answer."""
    names = {server.name: f"shard-{number}" for number, server in enumerate(settings.servers)}
    for server in settings.servers:
        await _dump(server.name, "shard", server.url, settings, folder / f"{names[server.name]}.sqlite", {})
        tell(f"copied {server.name}")
    await _dump("directory", "directory", settings.directory or "", settings, folder / "directory.sqlite", names)
    tell("copied directory")


async def map_number(settings: DataSettings) -> int:
    """The number of the map's last change."""
    async with connected("directory", settings.directory or "", settings.postgresql) as connection:
        return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM map_changes"))


async def _dump(name: str, kind: Kind, address: str, settings: DataSettings, path: Path, names: dict[str, str]) -> None:
    upgrade_file(path, kind)
    file = sqlite3.connect(path, isolation_level=None)
    try:
        # Synced once, at the end: what a crash interrupts is thrown away.
        file.execute("PRAGMA synchronous=OFF")
        file.execute("PRAGMA journal_mode=DELETE")
        async with (
            connected(name, address, settings.postgresql) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for shape in shapes(kind).values():
                file.execute("BEGIN")
                file.execute(f'DELETE FROM "{shape.name}"')  # noqa: S608 - names of the schema
                batch: list[Any] = []
                async for row in connection.cursor(read_all(shape).postgresql.sql, prefetch=_FETCHED):
                    batch.append(_renamed(shape, shape.values(row), names))
                    if len(batch) >= _FETCHED:
                        file.executemany(insertion(shape.name, shape.columns), batch)
                        batch.clear()
                file.executemany(insertion(shape.name, shape.columns), batch)
                file.execute("COMMIT")
    except sqlite3.Error as error:
        raise wrap(error, path.name) from error
    finally:
        file.close()
    await asyncio.to_thread(_settle, path)


def _settle(path: Path) -> None:
    path.chmod(0o600)
    sync(path)


def _renamed(shape: Shape, values: tuple[Any, ...], names: dict[str, str]) -> tuple[Any, ...]:
    changed = _SHARD_COLUMNS.get(shape.name, ()) if names else ()
    pairs = zip(shape.columns, values, strict=True)
    return tuple(names.get(value, value) if column in changed else value for column, value in pairs)
