"""Orders to move what is in use, and who has given one so far, where it takes two operators.

An order is written as text, so that two can be compared: whoever wants something else has not agreed. The console, HTTP
and the commands give the same orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.errors import NotFound
from atomic_guide.operations.operators.approvals import Agreed, Approval, Voter, agree, agreed, forget

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.engines.data.layout.rebalance import Levelled

_KIND = "moves"
"""What agreements to orders are kept as."""


def paced(order: str, at_once: int | None, pause: float) -> str:
    """An order with how many buckets move at the same time, and for how many seconds writes of one may wait."""
    return f"{order} at_once={at_once or 'as set'} pause={pause:g}"


def levelling(what: Levelled, limit: int | None) -> str:
    """The order to level shards, with so many moves at most."""
    most = "all" if limit is None else limit
    return f"zone={what.zone or 'all'} by={what.by} tolerance={what.tolerance:g} limit={most}"


async def given_so_far(directory: Database, needed: int) -> Agreed:
    """The orders that wait for another operator, each with those who have agreed to it."""
    return await agreed(directory, _KIND, needed)


async def give(
    directory: Database, order: str, voter: Voter, who: str, now: float, *, once: bool
) -> list[Approval] | None:
    """Give an order; None where it may be carried out, and otherwise who has agreed so far.

    With `once` it takes as many again from then on; without, until `settle`: what is broken off may be gone on with.
    """

    async def work(tx: Transaction) -> bool:
        enough = await agree(tx, _subject(order), voter, who, now)
        if enough and once and voter.needed > 1:
            await forget(tx, _subject(order))
        return enough

    if await directory.write(work):
        return None
    return (await given_so_far(directory, voter.needed)).given.get(order, [])


async def support(directory: Database, order: str, voter: Voter, who: str, now: float) -> list[Approval]:
    """Agree to an order that another operator has given; who has by then. Raises `NotFound` where nobody has."""
    if order not in (await given_so_far(directory, voter.needed)).given:
        raise NotFound("nobody waits with this order; GET /api/ops/shards lists those that wait, as agreed")

    async def work(tx: Transaction) -> bool:
        return await agree(tx, _subject(order), voter, who, now)

    await directory.write(work)
    return (await given_so_far(directory, voter.needed)).given.get(order, [])


async def settle(directory: Database, order: str) -> None:
    """Forget who agreed to an order that is carried out."""

    async def work(tx: Transaction) -> None:
        await forget(tx, _subject(order))

    await directory.write(work)


def _subject(order: str) -> str:
    return f"{_KIND} {order}"
