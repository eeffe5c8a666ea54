"""The embedded form: a directory file and one file for each shard, migrated and opened."""

from __future__ import annotations

import asyncio
import fcntl
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase, SqliteSettings
from atomic_guide.errors import DataUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIGRATION_SECONDS = 60.0
"""How long to wait for another process that migrates; an embedded migration takes seconds."""


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where courses are kept."""

    shards: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=64,
            description="Shard files of the embedded form; four spread the writers over as many threads and files.",
            extra={"unit": "files"},
        ),
    ] = 4
    sqlite: SqliteSettings = SqliteSettings()


def database_files(directory: Path, settings: DataSettings) -> tuple[Path, list[Path]]:
    """The directory file and the shard files of a data directory."""
    folder = directory / "databases"
    return folder / "directory.sqlite", [folder / f"shard-{number}.sqlite" for number in range(settings.shards)]


def migrate_embedded(directory: Path, settings: DataSettings) -> list[str]:
    """Bring every file to the newest schema; the names of those that changed. Safe beside other processes."""
    main, shards = database_files(directory, settings)
    main.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(main.parent / "migrate.lock"):
        changed = [main.name] if upgrade_file(main, "directory") else []
        return changed + [path.name for path in shards if upgrade_file(path, "shard")]


async def open_embedded(directory: Path, settings: DataSettings | None = None) -> Shards:
    """Migrate and open the databases below `directory`. Raises `DataUnavailable` naming a damaged file."""
    settings = settings or DataSettings()
    # In a thread: it may wait for another process, and the server must hear SIGTERM meanwhile.
    await asyncio.to_thread(migrate_embedded, directory, settings)
    main, paths = database_files(directory, settings)
    shards = Shards(
        SqliteDatabase(main, settings.sqlite), {path.stem: SqliteDatabase(path, settings.sqlite) for path in paths}
    )
    await shards.refresh()
    return shards


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + _MIGRATION_SECONDS
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    message = "another process has been migrating the databases for a minute; end it and try again"
                    raise DataUnavailable(message) from error
                time.sleep(0.05)
        yield
