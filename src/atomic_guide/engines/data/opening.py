"""Which form the databases have, embedded files or servers, and opening them: the one place that chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from atomic_guide.engines.data.embedded import migrate_embedded, open_embedded
from atomic_guide.engines.data.settings import DataSettings, check_servers
from atomic_guide.engines.data.shards import Shards


def is_embedded(settings: DataSettings) -> bool:
    """Whether the databases are files of the data directory. Raises `ConfigurationError` for half a declaration."""
    check_servers(settings)
    return settings.directory is None


async def open_databases(directory: Path, settings: DataSettings) -> Shards:
    """Open every database. Files are migrated on the way; servers must have been, by `atomic-guide migrate`."""
    if is_embedded(settings):
        return await open_embedded(directory, settings)
    from atomic_guide.engines.data.servers import open_servers  # noqa: PLC0415 - the driver takes 60 ms to import

    return await open_servers(settings)


async def migrate_databases(
    directory: Path, settings: DataSettings, *, contract: bool = False, told: Callable[[str], None] | None = None
) -> list[str]:
    """Bring every database to this program's schema; the names of those that changed."""
    if is_embedded(settings):
        return await asyncio.to_thread(migrate_embedded, directory, settings)
    from atomic_guide.engines.data.servers import migrate_servers  # noqa: PLC0415 - as above

    return await migrate_servers(settings, contract=contract, told=told)
