"""The mark of demo data in a directory: where it is, nothing is done to real fleets and nothing is told outside.

The whole record before `until` is made up then. What a real server measures afterwards stands beside it.
"""

from __future__ import annotations

import msgspec

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.model import Mode

QUERIES = load_queries(__package__, "marked.sql")


class Mark(msgspec.Struct, frozen=True):
    """What is known of demo data: since when it is there, of which time it is, whose, what modes there were before.

    Times are epoch seconds. `whole` is false while it is being added, or where that was interrupted.
    """

    added_at: float
    begins_at: float
    until: float
    tenant: str
    modes: dict[str, Mode | None] = {}
    whole: bool = False


async def demo_mark(directory: Database) -> Mark | None:
    """The mark; None where there is no demo data."""
    row = await directory.one(QUERIES["read_mark"])
    return None if row is None else msgspec.json.decode(row["value"], type=Mark)


async def demo_present(directory: Database) -> bool:
    """Whether there is demo data."""
    return await directory.one(QUERIES["read_mark"]) is not None


async def put_mark(tx: Transaction, mark: Mark) -> None:
    """Mark a directory, in the transaction that the demo data begins or is completed with."""
    await tx.execute(QUERIES["put_mark"], {"at": mark.added_at, "value": msgspec.json.encode(mark).decode()})


async def drop_mark(tx: Transaction) -> None:
    """Take the mark away, when nothing of it is left."""
    await tx.execute(QUERIES["drop_mark"])
