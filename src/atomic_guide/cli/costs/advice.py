"""`atomic-guide costs recommendations|explain`: what could be saved, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.costs.opened import REPLAYED, ask
from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.operations.costs.advise.model import Advice, Advices, Figure
    from atomic_guide.operations.costs.assembly import Explained
    from atomic_guide.operations.costs.verdict import Verdict


@click.command(name="recommendations")
@data_options
def recommendations(context: Context) -> None:
    """List what could be saved, each as the difference of two priced states, and what was considered and why not.

    They are made from the last four weeks (costs.look_back_days). What the set saves is priced as one state.
    """
    found = ask(context, lambda costs: costs.recommendations(fresh=True), REPLAYED)
    context.emit(msgspec.to_builtins(found), "\n".join(_list(found)))


@click.command(name="explain")
@click.argument("advice")
@data_options
def explain(context: Context, advice: str) -> None:
    """Explain a recommendation or a change: evidence, prices, risk, steps, what it would break, what it has saved."""
    found = ask(context, lambda costs: costs.explain(advice), REPLAYED)
    context.emit(msgspec.to_builtins(found), "\n".join(explained(found)))


def _list(found: Advices) -> Iterator[str]:
    if found.why:
        yield f"nothing is recommended: {found.why}"
        return
    yield (
        f"{found.hours:.0f} h measured since {found.since}; {found.before} {found.currency} a month"
        f" (prices {found.version})"
    )
    for one in found.recommendations:
        how = "costs apply" if one.change is not None else "advice"
        yield f"{one.id:<24} saves {one.saving:>10} {one.currency} a month  {one.confidence:<7} {how:<12} {one.title}"
    if len(found.recommendations) > 1:
        yield f"all together save {found.saving} {found.currency} a month: {found.before} to {found.after}"
    if not found.recommendations:
        yield "nothing could be saved"
    for two in found.considered:
        yield f"not: {two.trigger}: {two.why}"


def explained(found: Explained) -> Iterator[str]:
    """A recommendation in words."""
    one = found.advice
    yield f"{one.id}: {one.title}"
    yield f"Saves {one.saving} {one.currency} a month: {one.before} before, {one.after} after (prices {one.version})."
    yield f"Because of {', '.join(one.triggers)}, from {one.since} to {one.until}:"
    yield from (f"  {_figure(figure)}" for figure in one.evidence)
    yield f"Confidence: {one.confidence} ({one.confidence_why})."
    yield f"Risk: {one.risk}."
    yield f"It would break: {one.breaks}."
    if one.checked:
        yield "Checked against what scaling wants:"
        yield from (f"  {text}" for text in one.checked)
    if one.overlaps:
        yield f"It changes the same as {', '.join(one.overlaps)}: together they save less than their sum."
    if one.change is None:
        yield "This is advice: `costs apply` cannot do it, and what it saves is not measured afterwards. By hand:"
    else:
        yield "What to do:"
    yield from (f"  {step}" for step in one.steps)
    if found.applied_at:
        yield f"In force since {found.applied_at}, approved by {found.who}."
    if found.verdict is not None:
        yield f"  {judged(found.verdict, one)}"
    if found.audit:
        yield "What was done:"
        yield from (f"  {entry.at}  {entry.who}: {entry.what}" for entry in found.audit)


def judged(verdict: Verdict, advice: Advice) -> str:
    """What a change has saved, in words."""
    fleet = advice.change.fleet if advice.change is not None else "units"
    so_far = "measured" if verdict.final else "so far"
    return (
        f"{verdict.outcome}, {so_far}: {verdict.saved} {verdict.currency} in {verdict.hours:.2f} h, where"
        f" {verdict.expected} were expected; {verdict.units:.4g} {fleet} ran in place of {verdict.units_without:.4g};"
        f" {verdict.minutes} minutes over capacity in place of {verdict.minutes_without}"
    )


def _figure(figure: Figure) -> str:
    value = "none" if figure.value is None else f"{figure.value:,.6g} {figure.unit}"
    return f"{figure.what}: {value}" + (f"  ({figure.series})" if figure.series else "")
