"""`atomic-guide scale approve|refuse|pause|resume|mode|bounds|pin`: what operators say to scaling.

All of it is written to the directory and to the audit. A running server sees answers to decisions within a second, and
modes, bounds, pauses and pins with its next tick, at most 15 s later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, actor, data_options
from atomic_guide.cli.scale.demand import Duration

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.scaling.controls import Controls
    from atomic_guide.operations.scaling.events import Record
    from atomic_guide.operations.scaling.telling import Told

T = TypeVar("T")

_MODES = ("off", "shadow", "approve", "auto")


@click.command(name="approve")
@click.argument("event")
@data_options
def approve(context: Context, event: str) -> None:
    """Agree to a decision that waits; the leader begins it within a second, where the fleet has not changed since."""
    found = _answer(context, lambda controls: controls.approve(event))
    act = f"{found.action} {found.before} to {found.after}"
    so_far = f"noted: {len(found.approvals)} of {found.needed} operators agree to {event}: {act}"
    context.emit(msgspec.to_builtins(found), f"approved {event}: {act}" if found.approved else so_far)


@click.command(name="refuse")
@click.argument("event")
@data_options
@click.option("--why", default="", help="What others should know of it.")
def refuse(context: Context, event: str, why: str) -> None:
    """Do not agree to a decision that waits; the like of it is not asked for a while."""
    found = _answer(context, lambda controls: controls.refuse(event, why))
    context.emit(msgspec.to_builtins(found), f"refused {event}: {found.action} {found.before} to {found.after}")


@click.command(name="pause")
@click.argument("fleet")
@data_options
@click.option("--for", "seconds", type=Duration(), required=True, help="How long, such as 2h; it ends by itself.")
@click.option("--why", required=True, help="What others should know of it.")
def pause(context: Context, fleet: str, seconds: float, why: str) -> None:
    """Leave a fleet alone for a time; what is under way is finished, what would be done is still told."""
    from atomic_guide.clock import iso

    until = iso(_ask(context, lambda controls: controls.pause(fleet, seconds, why)))
    context.emit({"fleet": fleet, "paused_until": until, "why": why}, f"{fleet} is left alone until {until}")


@click.command(name="resume")
@click.argument("fleet")
@data_options
def resume(context: Context, fleet: str) -> None:
    """End a pause before its time."""
    was = _ask(context, lambda controls: controls.resume(fleet))
    context.emit({"fleet": fleet, "was_paused": was}, f"{fleet} goes on" if was else f"{fleet} was not paused")


@click.command(name="mode")
@click.argument("fleet")
@click.argument("mode", type=click.Choice([*_MODES, "settings"]))
@data_options
def set_mode(context: Context, fleet: str, mode: str) -> None:
    """Set what may be done to a fleet, beside the settings; `settings` goes back to them.

    off: nothing is decided; shadow: decided and judged, not done; approve: done when an operator agrees; auto: done.
    """
    from atomic_guide.operations.scaling.controls import MODES

    chosen = next((one for one in MODES if one == mode), None)
    _ask(context, lambda controls: controls.set_mode(fleet, chosen))
    text = f"the settings hold for {fleet} again" if chosen is None else f"the mode of {fleet} is {mode}"
    context.emit({"fleet": fleet, "mode": chosen}, text)


@click.command(name="bounds")
@click.argument("fleet")
@data_options
@click.option("--min", "least", type=click.IntRange(0, 10_000), help="Fewest units.")
@click.option("--max", "most", type=click.IntRange(0, 10_000), help="Most units; those of the settings are not passed.")
@click.option("--settings", "back", is_flag=True, help="Go back to the settings.")
def bounds(context: Context, fleet: str, least: int | None, most: int | None, *, back: bool) -> None:
    """Set the fewest and most units of a fleet beside the settings, or go back to them."""
    if back == (least is not None or most is not None):
        raise click.UsageError("give --min, --max or both; or --settings")
    _ask(context, lambda controls: controls.set_bounds(fleet, least, most))
    shown = ", ".join(
        f"{name} {value}" for name, value in (("at least", least), ("at most", most)) if value is not None
    )
    text = f"the settings hold for {fleet} again" if back else f"{fleet}: {shown}"
    context.emit({"fleet": fleet, "min": least, "max": most}, text)


@click.command(name="pin")
@click.argument("fleet")
@click.argument("candidate", type=click.IntRange(0, 100_000), required=False)
@data_options
@click.option("--free", is_flag=True, help="Let the nights choose again.")
def pin(context: Context, fleet: str, candidate: int | None, *, free: bool) -> None:
    """Pin the nightly choice of a fleet's policy to the candidate of a number, or free it."""
    if (candidate is None) != free:
        raise click.UsageError("name the number of a candidate, or give --free")
    pinned = None if candidate is None else {"candidate": candidate}
    _ask(context, lambda controls: controls.pin(fleet, pinned))
    text = f"{fleet} chooses by itself" if free else f"{fleet} is pinned to candidate {candidate}"
    context.emit({"fleet": fleet, "candidate": candidate}, text)


def _answer(context: Context, question: Callable[[Controls], Awaitable[Record]]) -> Told:
    """What has become of an event by an answer."""
    from atomic_guide.operations.scaling import telling

    async def ask() -> Told:
        async with context.open_shards() as shards:
            record = await question(_controls(context, shards.directory))
            return await telling.tell(shards.directory, record, context.settings.operators.needed)

    return asyncio.run(ask())


def _ask(context: Context, question: Callable[[Controls], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(_controls(context, shards.directory))

    return asyncio.run(ask())


def _controls(context: Context, directory: Database) -> Controls:
    """The controls for whoever has a shell, who counts as one operator with whoever has the token."""
    from atomic_guide.operations.operators.approvals import Voter
    from atomic_guide.operations.scaling.controls import Controls

    return Controls(directory, actor(), Voter(needed=context.settings.operators.needed))
