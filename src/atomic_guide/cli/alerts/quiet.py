"""`atomic-guide alerts silence|silences|unsilence`: keep alerts quiet for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.alerts.standing import asked
from atomic_guide.cli.options import Context, actor, data_options, moment
from atomic_guide.cli.scale.demand import DURATION

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.silences import Silence

_DAY = 86_400.0


@click.command(name="silence")
@click.argument("matchers", nargs=-1, required=True)
@data_options
@click.option("--for", "seconds", type=DURATION, help="How long, such as 2h; it ends by itself.")
@click.option("--until", metavar="TIME", help="In place of it, until when (ISO 8601).")
@click.option("--comment", required=True, help="Why: others read it.")
def silence(
    context: Context, *, matchers: tuple[str, ...], seconds: float | None, until: str | None, comment: str
) -> None:
    """Do not tell anybody of the alerts that match, for a time.

    MATCHERS are a rule's name, or label=value (also !=, =~ and !~ with patterns); all of them must match. That an alert
    has ended is still told to whoever was told that it fires. A running server sees it within a second.
    """
    if (seconds is None) == (until is None):
        raise click.UsageError("Say how long: either --for or --until.")
    lasts = seconds if seconds is not None else moment(str(until)) - time.time()
    made = asked(context, lambda desk: desk.silences(actor()).add(matchers, lasts, comment))
    shown = made.shown(time.time())
    context.emit(shown, f"{made.id}: {' '.join(made.matchers)} until {shown['ends_at']}")


@click.command(name="silences")
@data_options
@click.option("--expired", is_flag=True, help="With those that ended within the last day.")
def silences(context: Context, *, expired: bool) -> None:
    """List the silences in force, the next to end first."""
    now = time.time()
    found = asked(context, lambda desk: desk.silences().ending_after(now - _DAY if expired else now))
    lines = [_line(one, now) for one in found] or ["nothing is silenced"]
    context.emit({"silences": [one.shown(now) for one in found]}, "\n".join(lines))


@click.command(name="unsilence")
@click.argument("silence")
@data_options
def unsilence(context: Context, *, silence: str) -> None:
    """End a silence before its time; again is harmless."""
    ended = asked(context, lambda desk: desk.silences(actor()).end(silence))
    context.emit(ended.shown(time.time()), f"{ended.id} has ended: {' '.join(ended.matchers)}")


def _line(one: Silence, now: float) -> str:
    shown = one.shown(now)
    return f"{one.id}  {shown['state']} until {shown['ends_at']}  {' '.join(one.matchers)}  by {one.who}: {one.comment}"
