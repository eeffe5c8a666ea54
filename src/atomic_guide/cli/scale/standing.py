"""`atomic-guide scale status|history`: how scaling stands, what was decided and how that went."""

from __future__ import annotations

import asyncio
import time
import typing
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, data_options, moment

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.effect import Rate
    from atomic_guide.operations.scaling.telling import BudgetTold, FleetTold, History, Status, Told

_LIMIT = 10_000


@click.command(name="status")
@data_options
def status(context: Context) -> None:
    """Show how scaling stands: each fleet, its mode, pauses, who leads, what is not known, the last decisions.

    Counts and missing measurements are those of the last tick, at most 15 s old beside a running server; modes, pauses
    and events are those of now.
    """
    from atomic_guide.operations.scaling import telling

    async def ask() -> Status:
        async with context.open_shards() as shards:
            return await telling.status(shards.directory, time.time(), context.settings.operators.needed)

    found = asyncio.run(ask())
    context.emit(msgspec.to_builtins(found), "\n".join(_lines(found)))


def _state(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    from atomic_guide.operations.scaling.model import State

    del context, parameter
    states = typing.get_args(State)
    if value is not None and value not in states:
        raise click.BadParameter(f"it is one of {', '.join(states)}")
    return value or ""


@click.command(name="history")
@data_options
@click.option("--fleet", default="", help="Only of this fleet.")
@click.option("--since", metavar="TIME", help="Only what was decided since: an ISO 8601 time, or such as 2h, 3d ago.")
@click.option("--state", metavar="STATE", callback=_state, help="Only in this state, such as done or failed.")
@click.option("--rule", default="", help="Only of this rule.")
@click.option("--limit", type=click.IntRange(1, _LIMIT), default=50, help="Most events to list (default 50).")
def history(context: Context, fleet: str, since: str | None, state: str, rule: str, limit: int) -> None:
    """List decisions and what became of them, the newest first, with success rates by rule.

    A rate is over the acts that could be judged; where none could be, there is none, which is not zero.
    """
    from atomic_guide.operations.scaling import telling
    from atomic_guide.operations.scaling.events import Wanted

    wanted = Wanted(since=moment(since) if since else 0.0, fleet=fleet, state=state, rule=rule)

    async def ask() -> History:
        async with context.open_shards() as shards:
            return await telling.history(shards.directory, wanted, limit, context.settings.operators.needed)

    found = asyncio.run(ask())
    lines = [_event(event) for event in found.events] or ["nothing was decided"]
    lines += ["", f"acts: {_rate(found.success)}; only watched: {_rate(found.shadow)}"]
    for rule_ in found.rules:
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(rule_.outcomes.items()))
        took = "" if rule_.seconds is None else f", ready after {rule_.seconds:.0f} s"
        lines.append(f"  {rule_.rule:24} {_rate(rule_.rate)} ({outcomes}{took})")
    context.emit(msgspec.to_builtins(found), "\n".join(lines))


def _lines(found: Status) -> list[str]:
    if found.at is None:
        return ["no server has scaled anything here yet; `atomic-guide serve` does, by the settings scaling.*"]
    leader = found.leader
    who = "nobody leads" if leader is None else f"{leader.owner} leads" + ("" if leader.alive else ", but is silent")
    stale = "; no tick since, is the server running?" if found.stale else ""
    lines = [f"last tick {found.at}{stale}; {who}"]
    for fleet in found.fleets:
        lines += _fleet(fleet)
    if found.budget:
        lines.append(_budget(found.budget))
    lines += [f"not known: {name}: {why}" for name, why in found.missing.items()]
    lines += [f"trouble since {one['since']}: {one['kind']} {one['subject']}: {one['why']}" for one in found.troubles
              if one["subject"] not in found.missing]  # fmt: skip
    lines.append(f"last 24 hours: {_rate(found.success)}; {found.events_per_hour} acts in the last hour")
    return lines


def _fleet(fleet: FleetTold) -> list[str]:
    counts = "not known" if fleet.ready is None else (
        f"{fleet.ready} ready, {fleet.starting} starting, {fleet.wanted} wanted, {fleet.least} to {fleet.most}"
    )  # fmt: skip
    mode = f"{fleet.mode or 'no mode'}" + (" (set by an operator)" if fleet.mode_from == "operator" else "")
    lines = [f"{fleet.fleet:18} {counts}; {mode}"]
    if fleet.paused_until:
        lines.append(f"  paused until {fleet.paused_until}: {fleet.paused_why}")
    if fleet.pinned:
        lines.append(f"  pinned to candidate {fleet.pinned.get('candidate')}")
    if fleet.waiting:
        lines.append(f"  waits for `atomic-guide scale approve {fleet.waiting}`")
    if fleet.last:
        lines.append(f"  last: {_event(fleet.last)}")
    if fleet.forecast:
        trust = "relied on" if fleet.forecast.trusted else f"not relied on: {fleet.forecast.why}"
        peak = f"; next peak {fleet.forecast.next_peak}" if fleet.forecast.next_peak else ""
        lines.append(f"  forecast: {trust}{peak}")
    return lines


def _budget(budget: BudgetTold) -> str:
    held = "it lasts" if budget.per_hour is None else f"at most {budget.per_hour:,.2f} an hour"
    return (
        f"budget of {budget.month}: {budget.spent:,.2f} of {budget.budget:,.2f} spent, {budget.forecast:,.2f} forecast"
        f" for the {budget.hours_left:.0f} h left: {held}"
    )


def _event(event: Told) -> str:
    change = "hold" if event.action == "hold" else f"{event.action} {event.before} to {event.after}"
    outcome = f", {event.outcome}" if event.outcome else ""
    why = event.error if event.error and event.action != "hold" else event.reason
    return f"{event.id}  {event.at}  {event.fleet}  {change}: {event.state}{outcome}: {why}"


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return "no act has been judged" + (f", {rate.undecided} undecided" if rate.undecided else "")
    undecided = f", {rate.undecided} undecided" if rate.undecided else ""
    return f"{rate.succeeded} of {rate.judged} did what they should ({rate.rate:.0%}){undecided}"
