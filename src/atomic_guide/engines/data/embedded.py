"""The embedded form: a directory file and one file for each shard, migrated and opened."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase, SqliteSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    migrate_embedded(directory, settings)
    main, paths = database_files(directory, settings)
    shards = Shards(
        SqliteDatabase(main, settings.sqlite), {path.stem: SqliteDatabase(path, settings.sqlite) for path in paths}
    )
    await shards.refresh()
    return shards


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
