"""What a rule would have said: evaluated again over what is on record, tick by tick."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Invalid
from atomic_guide.operations.alerts.days import back
from atomic_guide.operations.alerts.earlier import load
from atomic_guide.operations.alerts.evaluation import Alerts, evaluated
from atomic_guide.operations.alerts.rule import KEPT_UNMEASURED, Labels, Rule
from atomic_guide.operations.alerts.sights import Sights
from atomic_guide.operations.alerts.state import Alert, Moment
from atomic_guide.operations.alerts.traces import Traces

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Series

TICK = 15.0

MOST_SECONDS = 14 * 86_400.0
"""Two weeks have 81,000 ticks, and a rule over ten series takes seven seconds for them. Older rows are coarser, too."""


class Spell(msgspec.Struct, frozen=True):
    """A time in which an alert would have been there; `fired_at` and `ended_at` are null where that did not come."""

    rule: str
    labels: dict[str, str]
    began_at: str
    fired_at: str | None
    ended_at: str | None
    value: float | None


class Replayed(msgspec.Struct, frozen=True):
    """What came of a replay; `unknown` is the share of ticks at which nothing was known."""

    rule: str
    condition: str
    since: str
    until: str
    ticks: int
    unknown: float
    spells: list[Spell]


async def replayed(rule: Rule, series: Series, zone: tzinfo, since: float, until: float) -> Replayed:
    """Evaluate a rule over a recorded time. Raises `Invalid` where that is too long."""
    if not 0 < until - since <= MOST_SECONDS:
        raise Invalid(f"a replay is of at most {MOST_SECONDS / 86_400:.0f} days")
    traces = await _recorded(rule, series, zone, (since, until))
    return await asyncio.to_thread(_run, rule, traces, zone, (since, until))


async def _recorded(rule: Rule, series: Series, zone: tzinfo, span: tuple[float, float]) -> tuple[Traces, Traces]:
    now, earlier = Traces(), Traces()
    since, until = span
    for selector in rule.condition.selectors:
        if selector.when == "now":
            await load(series, now, selector.measured, since - KEPT_UNMEASURED, until)
            continue
        days = [back(at, selector.when, zone, daily=False) or 0.0 for at in span]
        # An hour more on either side: distances of a day differ by that where clocks are changed.
        await load(series, earlier, selector.measured, since - max(days) - 7200.0, until - min(days) + 7200.0)
    return now, earlier


def _run(rule: Rule, traces: tuple[Traces, Traces], zone: tzinfo, span: tuple[float, float]) -> Replayed:
    sights = Sights(*traces, zone)
    alerts: Alerts = {}
    seen: dict[tuple[str, Labels, float], Alert] = {}
    since, until = span
    ticks = int((until - since) // TICK)
    unknown = 0
    for number in range(ticks):
        at = since + number * TICK
        turn = evaluated([rule], sights.at(at), alerts, Moment(at))
        unknown += rule.name in turn.unknown
        alerts = turn.alerts
        for alert in (*alerts.values(), *turn.resolved):
            seen[(*alert.key, alert.active_at)] = alert
    return Replayed(
        rule.name, rule.condition.text, iso(since), iso(until), ticks, unknown / ticks if ticks else 0.0,
        _spells(list(seen.values())),
    )  # fmt: skip


def _spells(alerts: Sequence[Alert]) -> list[Spell]:
    return [
        Spell(
            alert.rule,
            dict(alert.labels),
            iso(alert.active_at),
            iso(alert.fired_at) if alert.fired_at is not None else None,
            iso(alert.resolved_at) if alert.resolved_at is not None else None,
            alert.value,
        )
        for alert in sorted(alerts, key=lambda alert: alert.active_at)
    ]
