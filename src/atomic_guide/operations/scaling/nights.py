"""What the nightly replays of a fleet found: for operators to look at, and for a new leader to go on from."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.policies.tuned import Night, Point

_QUERIES = load_queries(__package__, "nights.sql")

KEPT_DAYS = 60
"""Twice what a choice looks back upon, so that operators see what has changed."""


class Shown(msgspec.Struct, frozen=True):
    """One night as operators see it: what was chosen with its constants, and what other prices would have chosen."""

    day: str
    at: float
    chosen: int
    constants: dict[str, float]
    frontier: list[Point]


class Nights:
    """The table of nights in the directory."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory

    async def put(self, fleet: str, at: float, night: Night, constants: dict[str, float], points: list[Point]) -> None:
        """Keep a night that ended at `at`, and forget the oldest ones."""
        row = {
            "fleet": fleet,
            "day": datetime.fromtimestamp(at, UTC).date().isoformat(),
            "now": at,
            "chosen": _text({"candidate": night.chosen, "constants": constants}),
            "frontier": _text(points),
            "outcome": _text(night),
        }

        async def work(tx: Transaction) -> None:
            await tx.execute(_QUERIES["put_night"], row)
            await tx.execute(_QUERIES["prune_nights"], {"before": at - KEPT_DAYS * 86400})

        await self._directory.write(work)

    async def last(self, fleet: str, count: int) -> list[Night]:
        """The last nights, the oldest first, as a policy takes them."""
        rows = await self._directory.read(_QUERIES["read_nights"], {"fleet": fleet, "count": count})
        return [msgspec.json.decode(row["outcome"], type=Night) for row in reversed(rows)]

    async def shown(self, fleet: str, count: int) -> list[Shown]:
        """The last nights, the newest first, as operators see them."""
        rows = await self._directory.read(_QUERIES["read_nights"], {"fleet": fleet, "count": count})
        found = []
        for row in rows:
            chosen = msgspec.json.decode(row["chosen"])
            points = msgspec.json.decode(row["frontier"], type=list[Point])
            found.append(Shown(row["day"], row["at"], chosen["candidate"], chosen["constants"], points))
        return found


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
