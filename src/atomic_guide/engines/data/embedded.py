"""The embedded form: a directory file and one file for each shard, migrated and opened."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from atomic_guide.engines.data.examine import read_file
from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.settings import DEFAULT_ZONE, DataSettings
from atomic_guide.engines.data.shard import Shard
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import DataUnavailable, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARD_NAME = re.compile(r"shard-\d{1,4}")
_MIGRATION_SECONDS = 60.0
"""How long to wait for another process that migrates; an embedded migration takes seconds."""

INTERRUPTED = "restoring.json"
"""The file in a data directory that says that the putting back of a backup was begun and is not finished."""


def database_files(directory: Path, settings: DataSettings) -> tuple[Path, list[Path]]:
    """The directory file and the shard files of a data directory: those of the setting, and those added since."""
    folder = directory / "databases"
    main = folder / "directory.sqlite"
    names = [f"shard-{number}" for number in range(settings.shards)]
    added = [name for name in _registered(main) if name not in names and shard_file(folder, name).exists()]
    return main, [shard_file(folder, name) for name in [*names, *added]]


def shard_file(folder: Path, name: str) -> Path:
    """The file of a shard. Raises `Invalid` for a name that no file of a shard has."""
    if not _SHARD_NAME.fullmatch(name):
        raise Invalid(f"{name} is no shard's name here: files are named shard-0, shard-1 and so on")
    return folder / f"{name}.sqlite"


def make_shard(directory: Path, settings: DataSettings, name: str) -> None:
    """Make the file of a further shard beside running servers; repeatable. It serves nothing before it is registered.

    Raises `Invalid` for a name that no file of a shard has.
    """
    main, _ = database_files(directory, settings)
    path = shard_file(main.parent, name)
    main.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(main.parent / "migrate.lock"):
        upgrade_file(path, "shard")


def present_files(directory: Path) -> tuple[Path, list[Path]]:
    """The files that a data directory has, shards that were added to those of the settings included."""
    folder = directory / "databases"
    shards = [path for path in folder.glob("shard-*.sqlite") if _SHARD_NAME.fullmatch(path.stem)]
    return folder / "directory.sqlite", sorted(shards, key=lambda path: int(path.stem.partition("-")[2]))


def migrate_embedded(directory: Path, settings: DataSettings) -> list[str]:
    """Bring every file to the newest schema; the names of those that changed. Safe beside other processes."""
    main, _ = database_files(directory, settings)
    if (directory / INTERRUPTED).exists():
        message = f"a restore into {directory} was interrupted; finish it with `atomic-guide restore`"
        raise DataUnavailable(message)
    main.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(main.parent / "migrate.lock"):
        changed = [main.name] if upgrade_file(main, "directory") else []
        # Another process may have added one while this one waited.
        _, shards = database_files(directory, settings)
        return changed + [path.name for path in shards if upgrade_file(path, "shard")]


async def open_embedded(directory: Path, settings: DataSettings | None = None) -> Shards:
    """Migrate and open the databases below `directory`. Raises `DataUnavailable` naming a damaged file."""
    settings = settings or DataSettings()
    # In a thread: it may wait for another process, and the server must hear SIGTERM meanwhile.
    await asyncio.to_thread(migrate_embedded, directory, settings)
    main, paths = database_files(directory, settings)

    def opened(name: str) -> Shard | None:
        """A shard that another process has added meanwhile."""
        path = main.parent / f"{name}.sqlite"
        return _shard(path, settings) if _SHARD_NAME.fullmatch(name) and path.exists() else None

    shards = Shards(SqliteDatabase(main, settings.sqlite), [_shard(path, settings) for path in paths], opened)
    try:
        await shards.join()
    except BaseException:
        await shards.close()
        raise
    return shards


def _registered(main: Path) -> list[str]:
    """The shards that the directory file knows; none where it is new, of before, or damaged, which its opening says."""
    with contextlib.suppress(DataUnavailable):
        names = [row["name"] for row in read_file(main, QUERIES["read_shards"])]
        return [name for name in names if _SHARD_NAME.fullmatch(name)]
    return []


def _shard(path: Path, settings: DataSettings) -> Shard:
    return Shard(path.stem, SqliteDatabase(path, settings.sqlite), DEFAULT_ZONE)


@contextlib.contextmanager
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
