"""`atomic-guide scale explain`: why something was done, or not, and what came of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.model import Expected
    from atomic_guide.operations.scaling.telling import Explained


@click.command(name="explain")
@click.argument("event")
@data_options
def explain(context: Context, event: str) -> None:
    """Explain a decision: inputs, rule, what was not done and why, what was expected, what came of it."""
    from atomic_guide.operations.scaling import telling

    async def ask() -> Explained:
        async with context.open_shards() as shards:
            return await telling.explain(shards.directory, event, time.time(), context.settings.operators.needed)

    found = asyncio.run(ask())
    context.emit(msgspec.to_builtins(found), "\n".join(_words(found)))


def _words(found: Explained) -> list[str]:
    event = found.event
    change = "Nothing was done to" if event.action == "hold" else f"{event.action} on"
    counts = "" if event.action == "hold" else f", from {event.before} to {event.after} units"
    lines = [
        f"{event.at}  {change} {event.fleet}{counts}.",
        f"Why: {event.reason} (rule {event.rule}, urgency {event.urgency}, mode {event.mode}).",
        f"State: {event.state}{' and approved' if event.approved else ''}"
        # Of what was held the reason is all there is to say, and it has been said.
        + (f": {event.error}" if event.error and event.error != event.reason else "."),
    ]
    if event.started_at:
        lines.append(f"Begun {event.started_at}" + (f", ended {event.ended_at}." if event.ended_at else ", under way."))
    if found.inputs:
        lines += [
            "It was made from:",
            *(f"  {name} = {_number(value)}" for name, value in sorted(found.inputs.items())),
        ]
    if found.rejected:
        lines += ["What was not done:", *(f"  {one.what}, because {one.why}" for one in found.rejected)]
    if found.expected:
        lines.append(f"Expected: {_expected(found.expected)}.")
    lines += _verdict(found.verdict)
    if found.audit:
        lines += [
            "What happened:",
            *(f"  {one.at}  {one.who}: {one.what}{_details(one.details)}" for one in found.audit),
        ]
    return lines


def _verdict(verdict: dict[str, Any]) -> list[str]:
    if not verdict:
        return []
    lines = [f"Verdict: {verdict['outcome']}: {verdict['why']}."]
    for name in ("before", "after"):
        window = verdict.get(name)
        if window:
            shown = {
                "value": window["value"], "load": window["load"], "response mean": window["response_mean"],
                "response p95": window["response_p95"],
            }  # fmt: skip
            lines.append(f"  {name} the act: " + ", ".join(f"{key} {_number(one)}" for key, one in shown.items()))
    if verdict.get("load_ratio") is not None:
        lines.append(f"  the load changed to {verdict['load_ratio']:.2f} times; without the act it would have been"
                     f" {_number(verdict.get('without'))}")  # fmt: skip
    if verdict.get("cost_per_hour") is not None:
        lines.append(f"  it costs {verdict['cost_per_hour']:+g} an hour")
    return lines


def _expected(expected: Expected) -> str:
    part = f" of {expected.part}" if expected.part else ""
    side = "at most" if expected.below else "at least"
    return f"{expected.component} {expected.metric}{part} {side} {expected.limit:g} within {expected.within:.0f} s"


def _details(details: dict[str, Any]) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in details.items() if value not in (None, ""))
    return f" ({shown})" if shown else ""


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.6g}"
