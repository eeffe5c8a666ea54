"""`atomic-guide alerts list|history|test`: what is wrong, what happened, and whether rules and channels work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from atomic_guide import errors
from atomic_guide.cli.options import Context, actor, data_options, moment
from atomic_guide.cli.scale.demand import DURATION
from atomic_guide.clock import iso

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.desk import AlertShown, Desk, RuleShown, Standing
    from atomic_guide.operations.alerts.store import Entry

T = TypeVar("T")

_MOST = 10_000


def asked(context: Context, question: Callable[[Desk], Awaitable[T]]) -> T:
    """The answer of the desk to a question."""
    from atomic_guide.app.alerting import made_desk
    from atomic_guide.clock import SystemClock

    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(made_desk(context.settings, shards.directory, SystemClock()))

    return asyncio.run(ask())


@click.command(name="list")
@data_options
@click.option("--rules", "with_rules", is_flag=True, help="Every rule, with how it stands.")
def list_alerts(context: Context, *, with_rules: bool) -> None:
    """List the alerts that are firing or pending, and of which rules nothing is known.

    Beside a running server they are at most 15 s old. A rule of which nothing is measured is unknown, which is not the
    same as well.
    """
    found = asked(context, lambda desk: desk.standing())
    context.emit(msgspec.to_builtins(found), "\n".join(_lines(found, with_rules=with_rules)))


@click.command(name="history")
@data_options
@click.option("--rule", default="", help="Only of this rule.")
@click.option("--what", default="", help="Only this: fired, resolved, told, 'not told', silenced, unsilenced, tested.")
@click.option("--since", metavar="TIME", help="Only since: an ISO 8601 time, or such as 2h, 3d ago.")
@click.option("--limit", type=click.IntRange(1, _MOST), default=50, help="Most entries to list (default 50).")
def history(context: Context, *, rule: str, what: str, since: str | None, limit: int) -> None:
    """List what happened to alerts, what channels took, and who silenced what; the newest first."""
    begin = moment(since) if since else 0.0
    found = asked(context, lambda desk: desk.history(begin, rule, what, limit))
    lines = [_entry(one) for one in found] or ["nothing has happened"]
    context.emit({"entries": msgspec.to_builtins(found)}, "\n".join(lines))


@click.command(name="test")
@click.argument("name")
@data_options
@click.option("--since", type=DURATION, default="24h", show_default=True, help="How far back a rule is replayed.")
@click.option("--send", is_flag=True, help="Send a message, marked as a test, to the channel or the rule's channels.")
def test(context: Context, *, name: str, since: float, send: bool) -> None:
    """Try a rule on what is on record: when it would have fired. With --send, try its channels, or a channel.

    NAME is a rule, or with --send a channel too. Nothing is sent without --send, and a replay changes nothing. The
    exit status is 1 where a channel does not take the message.
    """
    if send:
        _send(context, name)
        return
    found = asked(context, lambda desk: desk.replay(name, since))
    lines = [f"{found.rule}: {found.condition}", f"{found.since} to {found.until}: {found.ticks} evaluations"
             + (f", nothing known in {found.unknown:.0%} of them" if found.unknown else "")]  # fmt: skip
    for spell in found.spells:
        fired = f"fired {spell.fired_at}" if spell.fired_at else "was only pending"
        ended = f", ended {spell.ended_at}" if spell.ended_at else ""
        lines.append(f"  {spell.began_at}  {_labels(spell.labels)}: {fired}{ended}")
    lines += [] if found.spells else ["  it would not have been true"]
    context.emit(msgspec.to_builtins(found), "\n".join(lines))


def _send(context: Context, name: str) -> None:
    tried = asked(context, lambda desk: desk.test(name, actor()))
    lines = [f"{one.channel}: {'taken' if one.taken else f'not taken: {one.why}'}" for one in tried]
    lines = lines or ["no channel is told of it; alerts are in the log and in `atomic-guide alerts list`"]
    context.emit({"channels": msgspec.to_builtins(tried)}, "\n".join(lines))
    if failed := [one.channel for one in tried if not one.taken]:
        raise errors.Unavailable(f"{', '.join(failed)} did not take the message")


def _lines(found: Standing, *, with_rules: bool) -> list[str]:
    if found.at is None:
        lines = ["no server has evaluated any rule here yet; `atomic-guide serve` does"]
    else:
        stale = "; none since, is the server running?" if found.stale else ""
        lines = [f"last evaluation {found.at}{stale}"]
    nothing = [] if found.at is None else ["no alert is firing or pending"]
    lines += [_alert(one) for one in found.alerts] or nothing
    unknown = [rule.name for rule in found.rules if rule.state == "unknown"]
    if unknown and not with_rules and not found.stale:
        lines.append(f"unknown, since nothing is measured: {', '.join(unknown)}")
    if with_rules:
        lines += ["", *(_rule(rule) for rule in found.rules)]
    for channel in found.channels:
        if channel.pending or channel.error:
            why = f": {channel.error}" if channel.error else ""
            lines.append(f"channel {channel.name}: {channel.pending} messages not taken yet{why}")
    if found.silences:
        lines.append(f"silences in force: {found.silences}; see `atomic-guide alerts silences`")
    if found.dropped:
        lines.append(f"there was no room for {found.dropped} more alerts")
    return lines


def _alert(one: AlertShown) -> str:
    since = one.fired_at or one.since
    by = f" (by {', '.join(one.silences)})" if one.state == "silenced" else ""
    return f"{one.state:9} {one.severity:9} {one.rule} {_labels(one.labels)} since {since}{by}: {one.description}"


def _rule(rule: RuleShown) -> str:
    limit = "" if rule.limit is None else f" [limit {rule.limit:g}]"
    lasts = f" for {rule.for_seconds:g} s" if rule.for_seconds else ""
    return f"{rule.state:9} {rule.severity:9} {rule.name}: {rule.condition}{limit}{lasts}"


def _entry(one: Entry) -> str:
    if "matchers" in one.details:
        silence = one.details
        return (
            f"{one.at}  {one.who}: {one.what} {' '.join(silence['matchers'])} ({silence['id']}, until"
            f" {silence['ends_at']}: {silence['comment']})"
        )
    own = _labels(one.labels)
    name = f"{one.rule} {own}".strip() if own != "{}" else one.rule
    details: dict[str, Any] = {key: value for key, value in one.details.items() if value not in (None, "")}
    if "since" in details:
        details["since"] = iso(details["since"])
    shown = ", ".join(f"{key} {value}" for key, value in details.items())
    return f"{one.at}  {one.who}: {one.what} {name}" + (f" ({shown})" if shown else "")


def _labels(labels: dict[str, str]) -> str:
    own = {name: value for name, value in labels.items() if name not in {"alertname", "severity"}}
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(own.items())) + "}"
