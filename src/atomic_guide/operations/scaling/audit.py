"""Who did what to scaling, and when: written in the transaction that does it, kept for thirteen months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.operations.scaling.leader import QUERIES

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

KEPT_SECONDS = 400 * 86_400.0
"""How long events and entries are kept: as long as the measurements that explain them."""

_MOST = 100_000
"""Entries that are kept at most, 20 MB; a busy installation makes a few hundred a day."""

LEADER = "leader"


class Entry(msgspec.Struct, frozen=True):
    """An entry; `who` is the leader or the name of an operator, `event` empty where it concerns none."""

    number: int
    at: str
    who: str
    what: str
    fleet: str
    event: str
    details: dict[str, Any]


class Deed(msgspec.Struct, frozen=True):
    """What is done, to what."""

    what: str
    fleet: str = ""
    event: str = ""
    details: dict[str, Any] = {}


async def note(tx: Transaction, at: float, who: str, deed: Deed) -> None:
    """Write an entry, inside the unit of work that does what it tells of."""
    row = {"at": at, "who": who, "what": deed.what, "fleet": deed.fleet, "event": deed.event}
    await tx.execute(QUERIES["note_audit"], {**row, "details": msgspec.json.encode(deed.details).decode()})


async def entries(directory: Database, *, event: str = "", fleet: str = "", limit: int = 100) -> list[Entry]:
    """The newest entries first; of one event or fleet where it is named."""
    rows = await directory.read(QUERIES["list_audit"], {"event": event, "fleet": fleet, "limit": limit})
    return [
        Entry(
            **{name: row[name] for name in ("number", "who", "what", "fleet", "event")},
            at=iso(row["at"]),
            details=msgspec.json.decode(row["details"]),
        )
        for row in rows
    ]


async def prune(tx: Transaction, now: float) -> None:
    """Forget events and entries that are old, and the oldest entries where there are too many."""
    await tx.execute(QUERIES["prune_events"], {"before": now - KEPT_SECONDS})
    await tx.execute(QUERIES["prune_audit"], {"before": now - KEPT_SECONDS, "most": _MOST})
