"""`atomic-guide costs apply|rollback|changes`: doing what is recommended, taking it back, and what it has saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.costs.advice import judged
from atomic_guide.cli.costs.opened import REPLAYED, ask
from atomic_guide.cli.options import Context, actor, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.costs.assembly import Costs
    from atomic_guide.operations.costs.changes import Applied, Entry
    from atomic_guide.operations.costs.verdict import Verdict


@click.command(name="apply")
@click.argument("advice")
@data_options
@click.option("--yes", "approved", is_flag=True, help="Approve it; without it only what would be done is said.")
def apply(context: Context, advice: str, *, approved: bool) -> None:
    """Do what a recommendation says, where it can be done at run time and you approve it. Again is harmless.

    A running server follows with its next tick, at most 15 s later. Who approved it, and when, is in the audit.
    """
    from atomic_guide.operations.operators.approvals import Voter

    voter = Voter(needed=context.settings.operators.needed)
    found = ask(context, lambda costs: costs.apply(advice, actor(), approved=approved, voter=voter), REPLAYED)
    one = found.advice
    if found.applied:
        text = (
            f"{one.id} is in force since {found.applied_at}, approved by {found.who}: {one.title};"
            f" take it back with `atomic-guide costs rollback {one.id}`"
        )
    elif approved and found.approvals:
        text = f"noted: {len(found.approvals)} of {found.needed} operators agree to {one.id}: {one.title}"
    elif one.change is None:
        text = f"{one.id} is advice: it cannot be done at run time; do it by hand:\n" + "\n".join(
            f"  {step}" for step in one.steps
        )
    else:
        text = (
            f"would {one.title}, and save {one.saving} {one.currency} a month; nothing is done without --yes\n"
            f"risk: {one.risk}"
        )
    context.emit(msgspec.to_builtins(found), text)


@click.command(name="rollback")
@click.argument("change")
@data_options
def rollback(context: Context, change: str) -> None:
    """Put back exactly what there was before a change. Again is harmless; only the audit keeps that it was."""
    done = ask(context, lambda costs: costs.rollback(change, actor()))
    text = f"{change} is taken back" if done else f"{change} was taken back before"
    context.emit({"change": change, "rolled_back": done}, text)


@click.command(name="changes")
@data_options
@click.option("--audit", "audited", is_flag=True, help="List instead what was done, the newest first.")
def changes(context: Context, *, audited: bool) -> None:
    """List the changes that are in force, and what each has really saved until now."""
    if audited:
        entries = ask(context, lambda costs: costs.audit(1000))
        context.emit({"audit": msgspec.to_builtins(entries)}, "\n".join(_entry(one) for one in entries))
        return
    found = ask(context, _judged)
    rows = [{**msgspec.to_builtins(one), "verdict": msgspec.to_builtins(verdict)} for one, verdict in found]
    lines = [f"{one.id}  since {one.applied_at} by {one.who}: {judged(verdict, one.advice)}" for one, verdict in found]
    context.emit({"changes": rows}, "\n".join(lines) or "no change is in force")


async def _judged(costs: Costs) -> list[tuple[Applied, Verdict]]:
    return [(one, one.verdict or await costs.verdict(one)) for one in await costs.changes()]


def _entry(one: Entry) -> str:
    return f"{one.at}  {one.who}: {one.change} {one.what}"
