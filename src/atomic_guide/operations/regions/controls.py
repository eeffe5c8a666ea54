"""What operators and failures have done to regions: drains, and the log, in the directory database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import NotFound
from atomic_guide.operations.operators.approvals import ALONE, Approval, Voter, agree, agreed, forget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.regions.settings import RegionsSettings

QUERIES = load_queries(__package__)

KEPT_SECONDS = 400 * 86_400.0
"""How long the log is kept, as that of scaling."""

_WHY = 300
"""Characters of a reason."""

What = Literal["away", "back", "drained", "undrained"]


class Drain(msgspec.Struct, frozen=True):
    """A region that an operator has drained."""

    region: str
    at: float
    who: str
    why: str


class Event(msgspec.Struct, frozen=True):
    """What happened to a region; `seen_from` is the region whose processes saw it, empty for what an operator did."""

    at: float
    region: str
    what: What
    seen_from: str = ""
    who: str = ""
    why: str = ""


DRAIN = "drain"
"""What agreements to drains are kept as."""


class Controls:
    """The drains and the log."""

    def __init__(self, directory: Database, settings: RegionsSettings) -> None:
        self._directory = directory
        self._settings = settings

    async def drains(self) -> list[Drain]:
        """The regions that are drained, by name."""
        return [Drain(**row) for row in map(dict, await self._directory.read(QUERIES["list_drains"]))]

    async def agreed(self, needed: int) -> dict[str, list[Approval]]:
        """Who has agreed so far to drain which region."""
        return (await agreed(self._directory, DRAIN, needed)).given

    async def drain(self, region: str, event: Event, voter: Voter = ALONE) -> bool | None:
        """Send no more visits to a region; whether that is new, None where more operators have to agree.

        Raises `NotFound` for one that is not declared.
        """
        self.check(region)
        row = {"region": region, "at": event.at, "who": event.who, "why": event.why[:_WHY]}
        subject = f"{DRAIN} {region}"

        async def work(tx: Transaction) -> bool | None:
            if not await agree(tx, subject, voter, event.who, event.at):
                return None
            if voter.needed > 1:
                await forget(tx, subject)
            changed = bool(await tx.execute(QUERIES["add_drain"], row))
            if changed:
                await _note(tx, event)
            return changed

        return await self._directory.write(work)

    async def undrain(self, region: str, event: Event) -> bool:
        """Send visits to a region again; whether it was drained. Raises `NotFound` for one that is not declared."""
        self.check(region)

        async def work(tx: Transaction) -> bool:
            await forget(tx, f"{DRAIN} {region}")
            changed = bool(await tx.execute(QUERIES["drop_drain"], {"region": region}))
            if changed:
                await _note(tx, event)
            return changed

        return await self._directory.write(work)

    async def note(self, events: Iterable[Event]) -> None:
        """Write into the log, all or nothing."""
        noted = list(events)

        async def work(tx: Transaction) -> None:
            for event in noted:
                await _note(tx, event)
            await tx.execute(QUERIES["prune_region_log"], {"before": noted[-1].at - KEPT_SECONDS})

        if noted:
            await self._directory.write(work)

    async def events(self, region: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """What happened, the newest first."""
        rows = await self._directory.read(QUERIES["list_region_log"], {"region": region, "limit": limit})
        return [{**dict(row), "at": iso(row["at"])} for row in rows]

    def check(self, region: str) -> None:
        """Raise `NotFound` for a region that is not declared."""
        if self._settings.named(region) is None:
            known = ", ".join(one.name for one in self._settings.declared)
            said = f"there are {known}" if known else "declare regions in regions.declared first"
            raise NotFound(f"no region is called {region}; {said}")


async def _note(tx: Transaction, event: Event) -> None:
    await tx.execute(QUERIES["note_region"], {**msgspec.structs.asdict(event), "why": event.why[:_WHY]})
