"""Carrying a data directory's databases to the servers of the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from atomic_guide.app.supervisor import DataLock
from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.keeping.key import keeping_key, seal
from atomic_guide.course.keeping.places import CARRIED, TENANT_TABLES
from atomic_guide.engines.data.carry import Carried, Carrier, Content
from atomic_guide.engines.data.embedded import open_embedded, present_files
from atomic_guide.engines.data.opening import is_embedded, open_databases
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import ConfigurationError, NotFound


async def import_files(settings: Settings, tell: Callable[[str], None], *, dry_run: bool) -> Carried:
    """Carry the files of the data directory to the servers of the settings.

    Raises `ConfigurationError` where the settings name no servers or a server uses the directory, `NotFound` without
    files, `Conflict` for a target that is not empty.
    """
    data = Path(settings.data)
    if is_embedded(settings.databases):
        raise ConfigurationError("setting databases.directory: name the PostgreSQL databases to carry the files to")
    main, _ = present_files(data)
    if not main.is_file():
        raise NotFound(f"there are no database files in {data}; choose their data directory with --data")
    lock = DataLock.acquire(data)
    try:
        target = await open_databases(data, settings.databases)
        try:
            return await carry_files(settings, data, target, tell, dry_run=dry_run)
        finally:
            await target.close()
    finally:
        lock.release()


async def carry_files(
    settings: Settings,
    folder: Path,
    target: Shards,
    tell: Callable[[str], None],
    *,
    dry_run: bool = False,
    origin: str = "",
) -> Carried:
    """Carry the files below a folder to open databases; `origin` tells one state of an installation from another."""
    source = await open_embedded(folder, as_files(settings, folder))
    try:
        # Not the key itself: the note of a carrying stands in the target, half of which may stay there.
        name = seal(await keeping_key(source.directory, SystemClock()), "carrying", origin.encode())
        carrier = Carrier(source, target, Content(TENANT_TABLES, CARRIED), name, tell)
        return await (carrier.preview() if dry_run else carrier.carry())
    finally:
        await source.close()


def as_files(settings: Settings, folder: Path) -> DataSettings:
    """The settings of databases for the files below a folder, whatever the installation itself uses."""
    count = len(present_files(folder)[1])
    return msgspec.structs.replace(settings.databases, shards=count, directory=None, servers=())
