"""What a rehearsal stands on: every engine of the three regions, started, killed, brought back and removed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from atomic_guide.app.rehearsal.engines import Buckets, GuideServer, NatsNode, write_settings
from atomic_guide.app.rehearsal.people import Lms
from atomic_guide.app.rehearsal.plan import CENTRAL, EAST, NORTH, PLACES, Tenant
from atomic_guide.app.rehearsal.postgres import PostgresServer, find_programs, free_port, passable
from atomic_guide.clock import SystemClock
from atomic_guide.course.lti.assembly import build_lti
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.servers import migrate_servers, open_servers
from atomic_guide.engines.data.settings import DataSettings, ReplicaSettings, ShardSettings
from atomic_guide.errors import GuideError

OPERATOR = "operator-of-the-rehearsal"
KEEPER = "CloudNativePG"
"""Whose part the rehearsal plays when a primary is lost."""

_WATCH_SECONDS = 0.2
_WATCHES = 3
"""The primary's keeper asks five times a second and promotes after three failures, as tools for that do."""


class Ground:
    """The three regions below one folder, each with a folder of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        folders = {place.name: folder / place.name for place in PLACES}
        for one in folders.values():
            passable(one)
        self.folders = folders
        # The directory and shard-eu on one server, whose standby has both; shard-de apart, so that it has none.
        self.first = PostgresServer("central-1", CENTRAL, folders[CENTRAL] / "postgres", programs)
        self.standby = PostgresServer("north-1", NORTH, folders[NORTH] / "postgres", programs)
        self.alone = PostgresServer("central-2", CENTRAL, folders[CENTRAL] / "postgres", programs)
        self.far = PostgresServer("east-1", EAST, folders[EAST] / "postgres", programs)
        token = secrets.token_urlsafe(16)
        self.nats = {name: NatsNode(name, one, token) for name, one in folders.items()}
        self.buckets = Buckets(folder, list(folders))
        self.guides = {name: GuideServer(name, one, free_port()) for name, one in folders.items()}
        self.promoted_at: float | None = None
        """When the standby was told to be the primary, by the clock that only goes on; it writes before it says so."""

    @property
    def origins(self) -> dict[str, str]:
        """The address of each region."""
        return {name: guide.url for name, guide in self.guides.items()}

    @property
    def databases(self) -> DataSettings:
        """The databases as every process and command knows them."""
        return DataSettings(
            directory=self.first.address("directory", self.standby),
            servers=(
                ShardSettings(
                    "shard-eu", self.first.address("eu", self.standby), "eu", CENTRAL,
                    replicas=(ReplicaSettings(self.standby.address("eu"), NORTH),),
                ),
                ShardSettings("shard-de", self.alone.address("de"), "de", CENTRAL),
                ShardSettings("shard-us", self.far.address("us"), "us", EAST),
            ),
        )  # fmt: skip

    async def start_engines(self) -> None:
        """PostgreSQL with its synchronous standby, NATS with its leaf node, and the buckets."""
        primaries = (self.first, self.alone, self.far)
        await asyncio.gather(*(server.create() for server in primaries))
        await asyncio.gather(*(server.start() for server in primaries))
        for server, names in ((self.first, ("directory", "eu")), (self.alone, ("de",)), (self.far, ("us",))):
            for name in names:
                await server.ask(f'CREATE DATABASE "{name}"')
        starts = [self._follow(), self.nats[CENTRAL].start(), self.nats[EAST].start()]
        await asyncio.gather(*starts, self.buckets.start())
        await self.nats[NORTH].start(self.nats[CENTRAL])

    async def prepare(self, lms: Lms, tenants: tuple[Tenant, ...]) -> None:
        """The schema, the tenants with their zones, and the settings of each region."""
        await migrate_servers(self.databases)
        shards = await open_servers(self.databases)
        lti = build_lti(self.guides[CENTRAL].url, shards.directory, SystemClock(), LtiSettings(allow_loopback=True))
        try:
            for tenant in tenants:
                platform = (await lti.platforms.add(lms.draft(tenant))).platform
                await change.assign_zone(shards, platform.deployments[tenant.deployment], tenant.zone)
        finally:
            await lti.close()
            await shards.close()
        for name in self.folders:
            write_settings(self.guides[name].config, self._settings(name))

    async def start_guides(self) -> None:
        """The product, in every region."""
        await asyncio.gather(*(guide.start() for guide in self.guides.values()))

    def kill(self, region: str) -> None:
        """End everything of a region at once, with SIGKILL."""
        self.guides[region].kill()
        self.nats[region].kill()
        for server in self._servers:
            if server.region == region:
                server.kill()

    async def keep_primary(self) -> None:
        """Stand for `KEEPER`: watch the primary of the directory and shard-eu, and promote its standby.

        It is no part of the product, which promotes nothing (docs/decisions/promotion.md).
        """
        missed = 0
        while missed < _WATCHES:
            await asyncio.sleep(_WATCH_SECONDS)
            missed = 0 if await self.first.answers() else missed + 1
        began = time.monotonic()
        await self.standby.promote()
        self.promoted_at = began

    async def bring_back(self) -> None:
        """The region that was killed comes back: its database follows the new primary, its server starts again."""
        await asyncio.gather(self.alone.start(), self.nats[CENTRAL].start(), self.buckets.doors[CENTRAL].open())
        await self.first.follow(self.standby)
        await self.first.start()
        await self.standby.make_synchronous(self.first)
        await self.guides[CENTRAL].start()

    async def stop(self) -> None:
        """End everything that runs."""
        await asyncio.gather(*(guide.stop() for guide in self.guides.values()), return_exceptions=True)
        ends = [one.stop for one in self.nats.values()] + [one.stop for one in self._servers]
        await asyncio.gather(self.buckets.stop(), *(end() for end in ends), return_exceptions=True)

    @property
    def _servers(self) -> tuple[PostgresServer, ...]:
        return self.first, self.standby, self.alone, self.far

    async def _follow(self) -> None:
        await self.standby.follow(self.first)
        await self.standby.start()
        await self.first.make_synchronous(self.standby)

    def _settings(self, region: str) -> dict[str, Any]:
        stores = [self.buckets.declared(one.name, one.zones[0]) for one in PLACES]
        declared = [
            {
                "name": place.name, "coordinates": place.coordinates, "countries": [place.country],
                "zones": place.zones, "primary": place.primary, "replicas": place.replicas,
                "roles": place.roles, "store": place.name, "cacheNodes": [self.nats[place.name].url],
                "address": self.guides[place.name].url,
            }
            for place in PLACES
        ]  # fmt: skip
        servers = [
            {
                "name": one.name, "url": one.url, "zone": one.zone, "region": one.region,
                "replicas": [{"url": each.url, "region": each.region} for each in one.replicas],
            }
            for one in self.databases.servers
        ]  # fmt: skip
        return {
            "operator_token": OPERATOR,
            "server": {"public_url": self.guides[region].url, "trusted_proxies": ["127.0.0.1"], "development": "off"},
            "logs": {"format": "json", "level": "info"},
            "lti": {"allow_loopback": True},
            "databases": {
                "region": region, "directory": self.databases.directory, "servers": servers,
                "reads": {"probe_seconds": 0.3, "answer_seconds": 0.5, "breaker_rest_seconds": 1.0},
                "postgresql": {"connect_timeout": 1.0, "statement_timeout": 5.0},
            },
            "nats": {"token": self.nats[region].token},
            "regions": {"declared": declared, "probes": {"seconds": 0.3, "timeout": 0.6, "down": 3, "up": 3}},
            "assets": {"stores": stores, "least_free_bytes": 0},
            "limits": {"instructor_messages": 1_000_000, "room_messages": 1_000_000},
        }  # fmt: skip


@asynccontextmanager
async def made_ground(*, keep: bool) -> AsyncIterator[Ground]:
    """A ground in a new folder; everything is ended at the end, and removed unless it is to be kept."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="atomic-guide-rehearsal-"))
    async with AsyncExitStack() as stack:
        if not keep:
            stack.push_async_callback(asyncio.to_thread, shutil.rmtree, folder, ignore_errors=True)
        # The account that runs PostgreSQL goes through it.
        await asyncio.to_thread(folder.chmod, 0o711)
        programs = await asyncio.to_thread(find_programs, folder)
        ground = Ground(folder, programs)
        stack.push_async_callback(ground.stop)
        yield ground


async def until_answered(ground: Ground, region: str, limit: float) -> bool:
    """Whether every other region finds a region well within so many seconds."""
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                others = [guide for name, guide in ground.guides.items() if name != region]
                while others:
                    with contextlib.suppress(httpx.HTTPError, GuideError, KeyError):
                        found = (await client.get(f"{others[0].url}/api/ops/regions", headers=headers)).json()
                        if all(one["well"] for one in found["regions"]):
                            others.pop(0)
                            continue
                    await asyncio.sleep(_WATCH_SECONDS)
                return True
    return False
