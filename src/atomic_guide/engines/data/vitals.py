"""What the servers say of themselves, for a person who wonders what is wrong. Nothing is changed."""

from __future__ import annotations

import asyncio

import msgspec
from asyncpg.connect_utils import SessionAttribute

from atomic_guide.engines.data import migrations
from atomic_guide.engines.data.migrations import Kind
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.servers import connected, stand_on
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import GuideError

LEAST_VERSION = 150000
"""PostgreSQL 15, as its `server_version_num`: the first whose publications have row filters, by which buckets move."""

_AT_ONCE = 8
"""Servers asked at the same time; one that is away takes `connect_timeout`."""


class Vitals(msgspec.Struct, frozen=True):
    """A server's answers. `settings` are those that decide what survives; `trouble` is why it did not answer."""

    name: str
    is_replica: bool
    trouble: str = ""
    version: str = ""
    version_number: int = 0
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    encoding: str = ""
    in_recovery: bool = False
    receives: bool = False
    tls: bool = False
    local: bool = False
    schema: str | None = None
    schema_is_current: bool = True


async def examine_servers(settings: DataSettings) -> list[Vitals]:
    """Ask every server that is declared, replicas too; in the order of the settings, the directory first."""
    asked: list[tuple[str, Kind, str, bool]] = [("directory", "directory", settings.directory or "", False)]
    for shard in settings.servers:
        asked.append((shard.name, "shard", shard.url, False))
        asked += [
            (f"{shard.name}-replica-{number}", "shard", replica.url, True)
            for number, replica in enumerate(shard.replicas, 1)
        ]
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, kind: Kind, address: str, is_replica: bool) -> Vitals:  # noqa: FBT001 - of a row
        async with limit:
            try:
                return await _examine(name, kind, address, settings, is_replica=is_replica)
            except GuideError as error:
                return Vitals(name, is_replica, trouble=error.message)

    return list(await asyncio.gather(*(one(*row) for row in asked)))


async def _examine(name: str, kind: Kind, address: str, settings: DataSettings, *, is_replica: bool) -> Vitals:
    # A server that is no primary is to be reported, not passed over.
    async with connected(name, address, settings.postgresql, SessionAttribute.any) as connection:
        row = await connection.fetchrow(
            QUERIES["read_vitals"].postgresql.sql, timeout=settings.postgresql.statement_timeout
        )
        stand = await stand_on(connection)
        found = dict(row or {})
        current = True
        try:
            current = migrations.is_current(kind, stand, name)
        except GuideError:
            current = False
    return Vitals(
        name=name,
        is_replica=is_replica,
        version=found["version"],
        version_number=found["version_number"],
        settings={
            key: found[key] for key in ("fsync", "full_page_writes", "synchronous_commit", "wal_level", "standbys")
        },
        encoding=found["encoding"],
        in_recovery=found["in_recovery"],
        receives=found["receives"],
        tls=bool(found["tls"]),
        local=found["is_local"],
        schema=stand.revision,
        schema_is_current=current,
    )
