"""Fewest and most units of a fleet that hold beside the settings, in the directory: set, seen and taken back.

Whoever changes them does so within a unit of work of its own, so that what is noted of it is there or not together
with it. A leader takes them with its next tick; the most of the settings is never passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

_QUERIES = load_queries(__package__, "bounds.sql")

MOST = 10_000
"""Units of a fleet at most, as in the settings."""


class Limits(msgspec.Struct, frozen=True):
    """Of one fleet; None where the settings hold."""

    least: int | None = None
    most: int | None = None
    changed_at: float = 0.0


def check_limits(least: int | None, most: int | None) -> None:
    """Raise `Invalid` for limits that cannot be."""
    for name, value in (("fewest", least), ("most", most)):
        if value is not None and not 0 <= value <= MOST:
            raise errors.Invalid(f"the {name} units are 0 to {MOST:,}, not {value}")
    if least is not None and most is not None and least > most:
        raise errors.Invalid(f"the fewest units, {least}, are more than the most, {most}")


async def look_limits(directory: Database) -> dict[str, Limits]:
    """What is set, by fleet."""
    rows = await directory.read(_QUERIES["read_bounds"])
    return {row["fleet"]: Limits(row["least"], row["most"], row["changed_at"]) for row in rows}


async def find_limits(tx: Transaction, fleet: str) -> Limits | None:
    """What is set for a fleet; None where nothing is."""
    row = await tx.one(_QUERIES["find_bounds"], {"fleet": fleet})
    return None if row is None else Limits(row["least"], row["most"], row["changed_at"])


async def put_limits(tx: Transaction, fleet: str, limits: Limits | None) -> None:
    """Set them as they are given, the time among them; None takes them away."""
    if limits is None or (limits.least is None and limits.most is None):
        await tx.execute(_QUERIES["drop_bounds"], {"fleet": fleet})
        return
    await tx.execute(_QUERIES["put_bounds"], {"fleet": fleet, **msgspec.structs.asdict(limits)})
