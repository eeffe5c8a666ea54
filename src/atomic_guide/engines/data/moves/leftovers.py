"""What moves may have left on PostgreSQL servers: subscriptions, publications, and slots, which keep the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.moves.servers import PREFIX, QUERIES, drop_subscription, statement
from atomic_guide.engines.data.postgres import PostgresDatabase

_TABLE_SLOT = re.compile(r"pg_(\d+)_sync_\d+_(\d+)")
"""The slot of a subscription's copy of one table: its subscription, the table, the subscriber's identity."""


class Leftover(NamedTuple):
    """A subscription, publication or slot of a move."""

    database: PostgresDatabase
    kind: str
    name: str

    @property
    def move(self) -> str:
        """The move's id; empty for the slot of one table."""
        return self.name.removeprefix(PREFIX) if self.name.startswith(PREFIX) else ""

    async def remove(self) -> None:
        """Remove it. Raises `DataUnavailable` where it is in use."""
        if self.kind == "subscription":
            await self.database.write(lambda tx: drop_subscription(tx, self.name))
        elif self.kind == "publication":
            await self.database.write(self._unpublish)
        else:
            await self.database.write(lambda tx: tx.read(QUERIES["drop_slot"], {"name": self.name}))

    async def _unpublish(self, tx: Transaction) -> None:
        await tx.execute(statement(f'DROP PUBLICATION IF EXISTS "{self.name}"'))


async def things_of_moves(databases: Sequence[PostgresDatabase]) -> list[Leftover]:
    """Everything of moves on the shards, subscriptions first.

    The slot of a table's copy is a move's where its name bears the identity of one of the shards' servers, which has
    no such subscription any more.
    """
    subscribers: dict[str, set[int]] = {}
    for database in databases:
        for row in await database.read(QUERIES["list_subscribers"]):
            subscribers.setdefault(str(row["system"]), set()).update(row["subscriptions"])
    found = []
    for database in databases:
        for row in await database.read(QUERIES["list_leftovers"]):
            copy = _TABLE_SLOT.fullmatch(row["name"])
            if copy is None or (copy[2] in subscribers and int(copy[1]) not in subscribers[copy[2]]):
                found.append(Leftover(database, row["kind"], row["name"]))
    return sorted(found, key=lambda each: each.kind, reverse=True)
