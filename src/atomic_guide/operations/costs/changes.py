"""Changes that were made to save: applied with an approval, taken back exactly, both in one transaction each.

Guarantees:
- A change is the new bounds, its row, and what the audit says of it: all of them are there, or none. So a crash leaves
  no half of one, and doing it again is harmless: a change that is applied is not applied twice.
- What is taken back is what there was, the time at which it was set among it; the change's row goes. Only the audits
  keep that there was something.
- Two operators at once do it one after the other, and the second one finds what the first one has done.
- On one fleet one change is in force, so that taking one back never takes another with it. Where somebody has set
  other bounds meanwhile, taking back is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import Conflict, NotFound
from atomic_guide.operations.costs.advise.model import Advice, Change
from atomic_guide.operations.costs.verdict import Verdict
from atomic_guide.operations.operators.approvals import ALONE, Voter, agree, forget
from atomic_guide.operations.scaling import audit
from atomic_guide.operations.scaling.overrides import Limits, find_limits, put_limits

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction

QUERIES = load_queries(__package__, "changes.sql")

AGREED, APPLIED, ROLLED_BACK, MEASURED = "agreed", "applied", "rolled back", "measured"

CHANGE = "change"
"""What a change is called where operators agree to it."""


class Applied(msgspec.Struct, frozen=True):
    """A change in force: who approved it and when, what held before and holds now, and what it has really saved."""

    id: str
    fleet: str
    applied_at: str
    who: str
    before: Limits | None
    after: Limits
    advice: Advice
    verdict: Verdict | None = None


class Entry(msgspec.Struct, frozen=True):
    """An entry of the audit of costs."""

    number: int
    at: str
    who: str
    what: str
    change: str
    details: dict[str, Any]


class Changes:
    """The changes of a directory; `who` names whoever makes them, for the audit, of which `kept` entries stay."""

    def __init__(self, directory: Database, clock: Clock, who: str = "operator", kept: int = 10_000) -> None:
        self._directory = directory
        self._clock = clock
        self._who = who
        self._kept = kept

    async def all(self) -> list[Applied]:
        """Those in force, the oldest first."""
        return [_applied(row) for row in await self._directory.read(QUERIES["list_changes"])]

    async def find(self, change_id: str) -> Applied | None:
        """One in force; None where there is none of that id."""
        row = await self._directory.one(QUERIES["find_change"], {"id": change_id})
        return None if row is None else _applied(row)

    async def apply(self, advice: Advice, voter: Voter = ALONE) -> Applied | None:
        """Do what a recommendation says; None where it takes another operator, too. Again is harmless.

        Raises `Conflict` where it cannot be done at run time, or the fleet has a change already.
        """
        change = advice.change
        if change is None:
            raise Conflict(
                f"{advice.id} is advice: it cannot be done at run time; do it by hand: {'; '.join(advice.steps)}"
            )
        now = self._clock.now()
        wanted = change

        async def work(tx: Transaction) -> Row | None:
            await tx.execute(QUERIES["lock_changes"])
            known = await tx.one(QUERIES["find_change"], {"id": advice.id})
            if known is not None:
                return known
            if await agree(tx, f"{CHANGE} {advice.id}", voter, self._who, now):
                return await self._made(tx, advice, wanted, now)
            await self._note(tx, now, AGREED, advice.id, {})
            return None

        row = await self._directory.write(work)
        return None if row is None else _applied(row)

    async def _made(self, tx: Transaction, advice: Advice, change: Change, now: float) -> Row:
        other = await tx.one(QUERIES["find_fleet_change"], {"fleet": change.fleet})
        if other is not None:
            raise Conflict(
                f"{change.fleet} has the change {other['id']} already;"
                f" roll it back first with `atomic-guide costs rollback {other['id']}`"
            )
        before = await find_limits(tx, change.fleet)
        after = Limits(change.least, before.most if before is not None else None, now)
        await put_limits(tx, change.fleet, after)
        row = {
            "id": advice.id, "fleet": change.fleet, "applied_at": now, "who": self._who, "before": _text(before),
            "after": _text(after), "advice": _text(advice),
        }  # fmt: skip
        await tx.execute(QUERIES["add_change"], row)
        details = {"least": change.least, "former": change.former, "saving": str(advice.saving),
                   "currency": advice.currency, "version": advice.version}  # fmt: skip
        await self._note(tx, now, APPLIED, advice.id, details)
        deed = audit.Deed("bounds", change.fleet, details={"least": change.least, "change": advice.id})
        await audit.note(tx, now, self._who, deed)
        found = await tx.one(QUERIES["find_change"], {"id": advice.id})
        if found is None:
            raise Conflict(f"{advice.id} was taken back at the same moment; look again")
        return found

    async def rollback(self, change_id: str) -> bool:
        """Put back exactly what there was; whether there was something to take back. Again is harmless.

        Raises `NotFound` for what was never applied, `Conflict` where somebody has set other bounds meanwhile.
        """
        now = self._clock.now()

        async def work(tx: Transaction) -> bool:
            await tx.execute(QUERIES["lock_changes"])
            row = await tx.one(QUERIES["find_change"], {"id": change_id})
            if row is None:
                if await tx.one(QUERIES["last_entry"], {"change": change_id}) is None:
                    raise NotFound(f"there is no change {change_id}; `atomic-guide costs changes` lists those in force")
                return False
            known = _applied(row)
            present = await find_limits(tx, known.fleet)
            if present != known.after:
                raise Conflict(
                    f"somebody has set other bounds of {known.fleet} since {change_id}; set them with"
                    f" `atomic-guide scale bounds {known.fleet}` to what they should be, or back to"
                    f" {_bounds(known.after)}, and roll back then"
                )
            await put_limits(tx, known.fleet, known.before)
            await tx.execute(QUERIES["drop_change"], {"id": change_id})
            await forget(tx, f"{CHANGE} {change_id}")
            kept = {"before": msgspec.to_builtins(known.before), "verdict": _plain(known.verdict)}
            await self._note(tx, now, ROLLED_BACK, change_id, kept)
            deed = audit.Deed("bounds", known.fleet, details={"back": msgspec.to_builtins(known.before)})
            await audit.note(tx, now, self._who, deed)
            return True

        return await self._directory.write(work)

    async def judged(self, change_id: str, verdict: Verdict) -> None:
        """Keep what a change has really saved; nothing where it was taken back meanwhile, or is judged already."""
        now = self._clock.now()

        async def work(tx: Transaction) -> None:
            if await tx.execute(QUERIES["judge_change"], {"id": change_id, "verdict": _text(verdict)}):
                await self._note(tx, now, MEASURED, change_id, _plain(verdict) or {})

        await self._directory.write(work)

    async def entries(self, change_id: str = "", limit: int = 100) -> list[Entry]:
        """What was done, the newest first; of one change where it is named."""
        rows = await self._directory.read(QUERIES["list_entries"], {"change": change_id, "limit": limit})
        return [
            Entry(row["number"], iso(row["at"]), row["who"], row["what"], row["change"],
                  msgspec.json.decode(row["details"]))
            for row in rows
        ]  # fmt: skip

    async def _note(self, tx: Transaction, at: float, what: str, change: str, details: dict[str, Any]) -> None:
        row = {"at": at, "who": self._who, "what": what, "change": change, "details": _text(details)}
        await tx.execute(QUERIES["note_entry"], row)
        await tx.execute(QUERIES["prune_entries"], {"most": self._kept})


def _applied(row: Row) -> Applied:
    return Applied(
        row["id"], row["fleet"], iso(row["applied_at"]), row["who"],
        msgspec.json.decode(row["before"], type=Limits | None), msgspec.json.decode(row["after"], type=Limits),
        msgspec.json.decode(row["advice"], type=Advice),
        msgspec.json.decode(row["verdict"], type=Verdict) if row["verdict"] else None,
    )  # fmt: skip


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _plain(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else dict(msgspec.to_builtins(verdict))


def _bounds(limits: Limits) -> str:
    return f"--min {limits.least}" + (f" --max {limits.most}" if limits.most is not None else "")
