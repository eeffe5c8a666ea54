"""The settings of a process that stands in a region: what it may keep, what it does, and how it is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.config import Settings
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.regions.controls import Controls
from atomic_guide.operations.regions.looking import Bus, HttpProbe, Look
from atomic_guide.regions.geo import country_lookup
from atomic_guide.regions.here import Here
from atomic_guide.regions.settings import RegionSettings, Role

QUEUES: dict[str, Role] = {"video": "media", "assets": "media", "analytics": "analytics"}
"""The role that a region needs to run a queue's jobs; the others are part of `web`."""


def in_region(settings: Settings) -> Settings:
    """The settings as they hold where this process stands: the same where no region is declared.

    A shard whose zone may not be kept here is left out, so that no process of this region can read or write it, nor
    run its jobs. NATS is reached at the region's own cache nodes, unless `nats.url` says otherwise. Raises
    `ConfigurationError` where the process does not say which region it stands in, or nothing is left for it.
    """
    if not settings.regions.declared:
        return settings
    own = own_region(settings)
    servers = tuple(server for server in settings.databases.servers if server.zone in own.zones)
    if settings.databases.servers and not servers:
        raise ConfigurationError(
            f"setting regions.declared: no shard of databases.servers is of a zone that {own.name} may keep"
            f" ({', '.join(own.zones)})"
        )
    databases = msgspec.structs.replace(settings.databases, servers=servers)
    return msgspec.structs.replace(settings, databases=databases, nats=_near(settings.nats, own))


def own_region(settings: Settings) -> RegionSettings:
    """The region that this process stands in. Raises `ConfigurationError` where it does not say."""
    own = settings.regions.named(settings.databases.region)
    if own is None:
        known = ", ".join(region.name for region in settings.regions.declared)
        raise ConfigurationError(f"setting databases.region: say in which region this process stands: {known}")
    return own


def made_here(settings: Settings, zone_of: Callable[[str], str]) -> Here:
    """What a process knows of the regions."""
    file, main = settings.regions.geo_file, settings.assets.main_store
    lookup = country_lookup(file) if file else None
    return Here(settings.regions, settings.databases.region, zone_of, lookup, main.region if main is not None else None)


@asynccontextmanager
async def looked_after(here: Here, directory: Database, bus: Bus, clock: Clock, *, writes: bool) -> AsyncIterator[Look]:
    """The looking after the other regions; `writes`: this process writes the log of what it sees."""
    probe = HttpProbe(here.settings.probes.timeout)
    try:
        yield Look(here, Controls(directory, here.settings), bus, probe, clock, writes=writes)
    finally:
        await probe.close()


def addresses_of(settings: Settings) -> tuple[str, ...]:
    """The addresses of the regions: each may be where a launch ends."""
    return tuple(region.address for region in settings.regions.declared if region.address)


def _near(nats: NatsSettings, own: RegionSettings) -> NatsSettings:
    if nats.url or not own.cache_nodes:
        return nats
    return msgspec.structs.replace(nats, url=",".join(own.cache_nodes))
