"""How many units each fleet is wanted to have, in the directory: for a leader that goes on, and for KEDA that asks.

A fleet has one wish, under the key of the act that made it. It is written before the fleet is changed, with what was
found, and is settled after it: so a new leader knows whether an act was done, was not, or whether somebody else has
changed the fleet meanwhile. It lies here and not as an annotation on the Deployment, because whoever may patch a
Deployment may run any image in its namespace; the scale subresource alone takes no annotations.
"""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__, "wishes.sql")

DEMAND = "demand"
"""The series whose newest sample says when a fleet was last measured."""


class Wish(NamedTuple):
    """So many `units` for a fleet, where `before` were set, by the act `key`; `done` when they were asked for."""

    key: str
    units: int
    before: int
    done: bool
    at: float


class Wishes:
    """The wishes of all fleets."""

    def __init__(self, directory: Database, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def of(self, fleet: str) -> Wish | None:
        """The fleet's wish, if it ever had one."""
        row = await self._directory.one(QUERIES["read_wish"], {"fleet": fleet})
        return Wish(row["key"], row["units"], row["before"], bool(row["done"]), row["at"]) if row else None

    async def make(self, fleet: str, key: str, units: int, before: int, *, done: bool = False) -> bool:
        """Take the place of the wish that the fleet had; one with the same key stays as it is.

        False where the act was taken back meanwhile, under the key `KEY/back`: it is not to be done any more.
        """
        values = {"fleet": fleet, "key": key, "units": units, "before": before, "done": done, "at": self._clock.now()}

        async def work(tx: Transaction) -> bool:
            await tx.execute(QUERIES["make_wish"], values)
            row = await tx.one(QUERIES["read_wish"], {"fleet": fleet})
            return row is not None and row["key"] == key

        return await self._directory.write(work)

    async def found(self, fleet: str, key: str, before: int) -> bool:
        """Note what is set now, before another try; False where another act has taken the wish's place."""

        async def work(tx: Transaction) -> bool:
            return bool(await tx.execute(QUERIES["note_found"], {"fleet": fleet, "key": key, "before": before}))

        return await self._directory.write(work)

    async def settle(self, fleet: str, key: str) -> None:
        """The act is done; nothing where another has taken its place."""

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["settle_wish"], {"fleet": fleet, "key": key})

        await self._directory.write(work)

    async def measured_at(self, component: str) -> float | None:
        """When the demand on a component was last measured, epoch seconds; None for never."""
        row = await self._directory.one(QUERIES["read_measured"], {"component": component, "metric": DEMAND})
        return row["at"] if row else None
