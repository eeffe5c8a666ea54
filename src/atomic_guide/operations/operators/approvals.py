"""What takes two: who has agreed to something so far, counted in the transaction that does it.

Whoever has the operators' token counts as one person, and so does whoever has a shell on the server, who can read that
token: nobody knows which of them it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.operators.model import TOKEN_ID

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

QUERIES = load_queries(__package__)

KEPT_SECONDS = 7 * 86_400.0
"""How long an agreement counts; nothing waits as long."""

_MOST = 1000


class Approval(msgspec.Struct, frozen=True):
    """Who agreed, and when."""

    by: str
    at: str


class Voter(NamedTuple):
    """Whose agreement it is, and how many it takes."""

    id: str = TOKEN_ID
    needed: int = 1


ALONE = Voter()


async def agree(tx: Transaction, subject: str, voter: Voter, who: str, now: float) -> bool:
    """Note that somebody agrees; whether that is enough. Again is harmless, and counts once."""
    if voter.needed <= 1:
        return True
    await tx.execute(QUERIES["lock_agreed"])
    since = now - KEPT_SECONDS
    given = {"subject": subject, "operator": voter.id, "who": who, "now": now, "since": since}
    await tx.execute(QUERIES["agree"], given)
    row = await tx.one(QUERIES["count_agreed"], {"subject": subject, "since": since})
    return row is not None and int(row["agreed"]) >= voter.needed


async def forget(tx: Transaction, subject: str) -> None:
    """Have nobody agreed any more, as when it was taken back."""
    await tx.execute(QUERIES["forget_agreed"], {"subject": subject})


class Agreed(NamedTuple):
    """How many it takes, and who has agreed to what."""

    needed: int = 1
    given: dict[str, list[Approval]] = {}  # noqa: RUF012 - nobody writes into it


NOBODY = Agreed()


async def agreed(directory: Database, kind: str, needed: int) -> Agreed:
    """Who has agreed so far, where it takes more than one."""
    return Agreed(needed, await _given(directory, kind) if needed > 1 else {})


async def _given(directory: Database, kind: str) -> dict[str, list[Approval]]:
    """Who has agreed to subjects of a kind, such as `event`, by the rest of their names; the first first."""
    rows = await directory.read(QUERIES["list_agreed"], {"start": f"{kind} %", "most": _MOST})
    found: dict[str, list[Approval]] = {}
    for row in rows:
        found.setdefault(row["subject"].partition(" ")[2], []).append(Approval(row["who"], iso(row["at"])))
    return found


async def prune(directory: Database, now: float) -> None:
    """Forget agreements that count no more."""

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["prune_agreed"], {"before": now - KEPT_SECONDS})

    await directory.write(work)
