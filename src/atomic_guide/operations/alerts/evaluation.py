"""All rules at a moment: what each says of each place, and how its alerts go on. Pure: who calls keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from atomic_guide.operations.alerts.rule import KEPT_UNMEASURED, NAME, UNMEASURED, Judged, Labels, Rule
from atomic_guide.operations.alerts.settings import MOST_ALERTS
from atomic_guide.operations.alerts.state import Alert, Moment, Terms, advanced, begun
from atomic_guide.operations.alerts.traces import Sight

Alerts = Mapping[tuple[str, Labels], Alert]


class Turn(NamedTuple):
    """What an evaluation has found.

    `alerts` are those that are pending or firing, `resolved` those that have just ended, `unknown` the rules of which
    nothing is known, `dropped` how many alerts there was no room for.
    """

    alerts: dict[tuple[str, Labels], Alert]
    resolved: list[Alert]
    unknown: set[str]
    dropped: int


def evaluated(rules: Sequence[Rule], sight: Sight, before: Alerts, moment: Moment, most: int = MOST_ALERTS) -> Turn:
    """One evaluation of all rules, for so many alerts at most. Alerts of rules that are not among them resolve."""
    alerts: dict[tuple[str, Labels], Alert] = {}
    resolved: list[Alert] = []
    unknown: set[str] = set()
    known: dict[str, list[Alert]] = {}
    for alert in before.values():
        known.setdefault(alert.rule, []).append(alert)
    dropped = 0
    for rule in rules:
        judged = rule.judge(sight)
        if all(one.truth is None for one in judged):
            unknown.add(rule.name)
        found = list(_advanced(rule, judged, (sight, known.pop(rule.name, [])), moment))
        if rule.given.unmeasured_after is not None:
            found += _unmeasured(rule, known.pop(rule.name + UNMEASURED, []), moment, nothing=rule.name in unknown)
        for alert in found:
            if alert.state == "resolved":
                resolved.append(alert)
            elif len(alerts) < most:
                alerts[alert.key] = alert
            else:
                dropped += 1
    for left in known.values():
        resolved += [_ended(alert, moment.at) for alert in left if alert.state == "firing"]
    return Turn(alerts, resolved, unknown, dropped)


def _advanced(
    rule: Rule, judged: Iterable[Judged], context: tuple[Sight, list[Alert]], moment: Moment
) -> Iterable[Alert]:
    sight, before = context
    terms = Terms(rule.given.for_seconds, rule.given.keep_firing_seconds)
    said = {_labels(rule, one.labels): one for one in judged}
    present = {alert.labels: alert for alert in before}
    kept: dict[Labels, Judged] = {}
    if rule.given.unmeasured == "keep" and any(
        alert.state == "firing" and _truth(said, labels) is None for labels, alert in present.items()
    ):
        # What was known within the last quarter of an hour still counts for what fires.
        kept = {_labels(rule, one.labels): one for one in rule.judge(sight, KEPT_UNMEASURED)}
    for labels in dict.fromkeys((*present, *said)):
        alert, one = present.get(labels), said.get(labels)
        holds = one.truth if one is not None else None
        if alert is not None and alert.state == "firing" and holds is None and _truth(kept, labels):
            holds, one = True, kept[labels]
        after = _next(alert, (rule.name, labels), (holds, terms), moment)
        if after is not None:
            value = one.value if one is not None and one.value is not None else after.value
            yield msgspec.structs.replace(after, value=value)


def _unmeasured(rule: Rule, before: list[Alert], moment: Moment, *, nothing: bool) -> list[Alert]:
    """The alert that tells that nothing is known of a rule."""
    if moment.grace:
        return before
    name = rule.name + UNMEASURED
    terms = Terms(rule.given.unmeasured_after or 0.0)
    labels = tuple(sorted({**rule.labels, NAME: name}.items()))
    alert = before[0] if before else None
    after = _next(alert, (name, labels), (nothing, terms), moment)
    return [] if after is None else [after]


def _next(
    alert: Alert | None, key: tuple[str, Labels], judged: tuple[bool | None, Terms], moment: Moment
) -> Alert | None:
    holds, terms = judged
    if alert is not None:
        return advanced(alert, holds, terms, moment)
    return begun(*key, terms, moment) if holds else None


def _labels(rule: Rule, own: Labels) -> Labels:
    return tuple(sorted({**dict(own), **rule.labels}.items()))


def _truth(said: Mapping[Labels, Judged], labels: Labels) -> bool | None:
    one = said.get(labels)
    return one.truth if one is not None else None


def _ended(alert: Alert, at: float) -> Alert:
    return msgspec.structs.replace(alert, state="resolved", resolved_at=at, keeping_since=None)
