"""Orders to move what is in use, given by a command: they take as many operators as in the console, and are noted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.cli.options import Context, actor, shell
from atomic_guide.clock import SystemClock

if TYPE_CHECKING:
    from atomic_guide.engines.data.layout.waves import Outcome
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.operators.approvals import Approval

_DONE, _NOTED, _FAILED = 200, 202, 500
"""How the entry in the log of operators ends, as a call would be answered."""


class Asked(NamedTuple):
    """What is asked for: `action` as the log of operators calls it, `order` as it is compared with another one's."""

    action: str
    order: str


class Noted(NamedTuple):
    """An order that waits for another operator, and who has agreed so far."""

    order: str
    needed: int
    approvals: list[Approval]


async def ordered(
    context: Context, shards: Shards, asked: Asked, work: Callable[[], Awaitable[Outcome]]
) -> Outcome | Noted:
    """Carry an order out, once as many operators as it takes have agreed; either is written down."""
    from atomic_guide.operations.operators.approvals import Voter
    from atomic_guide.operations.operators.audit import Act, Audit
    from atomic_guide.operations.placement.orders import give, settle

    audit = Audit(shards.directory, SystemClock(), context.settings.operators)
    act = Act("COMMAND", asked.action, {"order": asked.order})
    number = await audit.begin(shell(), act)
    voter = Voter(needed=context.settings.operators.needed)
    given = await give(shards.directory, asked.order, voter, actor(), time.time(), once=False)
    if given is not None:
        await audit.finish(number, act, _NOTED)
        return Noted(asked.order, voter.needed, given)
    outcome = await work()
    if not outcome.failed and not outcome.left:
        await settle(shards.directory, asked.order)
    counts = {"moved": str(len(outcome.done)), "failed": str(len(outcome.failed)), "left": str(outcome.left)}
    act = Act("COMMAND", asked.action, {**act.objects, **counts})
    await audit.finish(number, act, _FAILED if outcome.failed else _DONE)
    return outcome


def emit_noted(context: Context, noted: Noted) -> None:
    """Say that an order waits, and how it goes on."""
    text = (
        f"noted: {len(noted.approvals)} of {noted.needed} operators agree; nothing was moved\n"
        "Another one agrees in the console, under Shards and moves, to this order:\n"
        f"  {noted.order}\n"
        "Then give the same command again. The setting is operators.two_person."
    )
    context.emit({"begun": False, **msgspec.to_builtins(noted._asdict())}, text)
