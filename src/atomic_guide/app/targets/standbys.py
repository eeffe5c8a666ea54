"""The read replicas of one shard whose primary stands on this computer: `replicas/SHARD`.

Those that the settings name are somebody else's to start, and count. Further ones are started here: each is a row of
the directory's table `standbys`, by which every process finds it, and goes through `copying`, `serving`, `leaving`.
What a crash leaves is carried on at the next start: a half copy is removed, a replica that served is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import structlog

from atomic_guide.app.targets.taken import Taken
from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Engine, Row, Transaction
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.settings import PostgresSettings
from atomic_guide.engines.data.standby import Installation, Standby
from atomic_guide.errors import GuideError, Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import REPLICAS

_log = structlog.get_logger(__name__)

_LEAVE_SECONDS = 2.0
"""From `leaving` to the end of the server: every process has read the map by then, and reads go elsewhere."""

_LOOK_SECONDS = 10.0

T = TypeVar("T")


class Recipe(NamedTuple):
    """What replicas are made of: the primary's address, programs and folder, and how to talk to either."""

    address: str
    place: Installation
    settings: PostgresSettings

    def made(self, name: str, port: int = 0) -> Standby:
        """One by its name, not yet copied or started."""
        standby = Standby(name, self.address, self.place, self.settings)
        standby.port = port
        return standby


class Standbys:
    """The fleet of one shard's replicas. `most` bounds those that are started here."""

    def __init__(self, directory: Engine, replicas: ReplicaSet, recipe: Recipe, clock: Clock, most: int = 2) -> None:
        self.fleet = f"{REPLICAS}{replicas.name}"
        self._directory = directory
        self._replicas = replicas
        self._recipe = recipe
        self._clock = clock
        self._most = most
        self._own: dict[str, Standby] = {}
        self._wanted = 0
        self._taken = Taken()
        self._begun: dict[str, asyncio.Task[None]] = {}
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Carry on what was there when the server ended."""
        for row in await self._rows():
            standby = self._own[row["name"]] = self._recipe.made(row["name"], row["port"])
            if row["state"] == "serving" and standby.copied:
                self._wanted += 1
                self._keep(standby)
            else:
                self._let_go(standby.name)

    async def close(self) -> None:
        """End the servers; their data stays for the next start."""
        tasks = [*self._begun.values(), *self._kept.values(), *self._leaving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(standby.stop() for standby in self._own.values()))

    async def look(self) -> Fleet:
        """Replicas that answer, and those that are copied, start or catch up."""
        reports = self._replicas.reports()
        ready = sum(report.healthy for report in reports)
        least = self._replicas.declared
        return Fleet(ready, max(least + self._wanted - ready, 0), least, least + self._most, 1.0)

    async def scale(self, desired: int, key: str) -> None:
        """Start or end replicas of ours until so many are there; nothing for an act after which there was a newer one.

        Raises `Invalid` out of the bounds.
        """
        if self._taken.overtaken(key):
            return
        least = self._replicas.declared
        if not least <= desired <= least + self._most:
            raise Invalid(f"{desired} replicas are out of the bounds of {self.fleet}: {least} to {least + self._most}")
        self._taken.add(key)
        self._wanted = desired - least
        staying = [row for row in await self._rows() if row["state"] != "leaving"]
        for row in staying[self._wanted :]:
            await self._put(row["name"], row["port"], "leaving")
            self._let_go(row["name"])
        for _ in range(self._wanted - len(staying)):
            name = self._free_name()
            self._own[name] = standby = self._recipe.made(name)
            await self._put(name, 0, "copying")
            self._begun[name] = asyncio.create_task(self._noted(self._begin, standby))

    async def _begin(self, standby: Standby) -> None:
        """Copy, start and hand a replica to the readers; one that cannot be is taken away again."""
        try:
            await standby.copy()
            await self._serve(standby)
            self._keep(standby)
        except (GuideError, OSError, TimeoutError) as error:
            _log.warning("a replica could not be started", replica=standby.name, error=str(error))
            if standby.name not in self._leaving:
                self._wanted = max(self._wanted - 1, 0)
                self._let_go(standby.name)

    async def _serve(self, standby: Standby) -> None:
        await standby.start()
        await self._put(standby.name, standby.port, "serving")

    def _keep(self, standby: Standby) -> None:
        self._kept[standby.name] = asyncio.create_task(self._noted(self._kept_up, standby))

    async def _kept_up(self, standby: Standby) -> None:
        """Start it again when it dies; copy it anew where the log that it needs is gone."""
        keeping = asyncio.create_task(standby.keep(lambda: self._serve(standby)))
        try:
            while not standby.is_lost():  # noqa: ASYNC110 - a file tells
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            keeping.cancel()
        _log.warning("a replica was away for too long, and is copied anew", replica=standby.name)
        await self._put(standby.name, 0, "copying")
        await standby.stop()
        self._own[standby.name] = fresh = self._recipe.made(standby.name)
        self._begun[standby.name] = asyncio.create_task(self._noted(self._begin, fresh))

    def _let_go(self, name: str) -> None:
        """Take a replica away, in whatever state it is; once."""
        if name not in self._leaving:
            self._leaving[name] = asyncio.create_task(self._noted(self._leave, name))

    async def _leave(self, name: str) -> None:
        """Let readers go elsewhere, then end and remove a replica, or stop making it."""
        await self._put(name, self._own[name].port, "leaving")
        if name in self._kept:
            await asyncio.sleep(_LEAVE_SECONDS)
        # Keeping up may have begun another copy.
        for tasks in (self._kept, self._begun):
            if (task := tasks.pop(name, None)) is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._own[name].remove()

        async def gone(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_standby"], {"name": name})
            await tx.one(QUERIES["count_map_change"])

        await self._directory.write(gone)
        del self._own[name]
        del self._leaving[name]

    async def _rows(self) -> list[Row]:
        rows = await self._directory.read(QUERIES["read_standbys"])
        return [row for row in rows if row["shard"] == self._replicas.name]

    async def _put(self, name: str, port: int, state: str) -> None:
        values = {"name": name, "shard": self._replicas.name, "port": port, "state": state, "now": self._clock.now()}

        async def put(tx: Transaction) -> None:
            await tx.execute(QUERIES["put_standby"], values)
            await tx.one(QUERIES["count_map_change"])

        await self._directory.write(put)

    def _free_name(self) -> str:
        numbers = range(1, len(self._own) + 2)
        return next(name for number in numbers if (name := f"{self._replicas.name}-standby-{number}") not in self._own)

    async def _noted(self, duty: Callable[[T], Awaitable[None]], subject: T) -> None:
        try:
            await duty(subject)
        except (GuideError, OSError, TimeoutError) as error:
            _log.warning("a replica is not where it should be", fleet=self.fleet, error=str(error))
