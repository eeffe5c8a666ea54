"""What is told of a group of alerts at once: the same for every channel, which only gives it another form. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from atomic_guide.operations.alerts.rule import NAME, SEVERITY, UNMEASURED, Rule, described
from atomic_guide.operations.alerts.state import Alert

MOST_TOLD = 50
"""Alerts that one message spells out; what is above is counted."""

Status = Literal["firing", "resolved"]


class Told(msgspec.Struct, frozen=True):
    """One alert as people are told of it. Times are s since the epoch; `ended_at` is 0 while it fires."""

    fingerprint: str
    status: Status
    labels: dict[str, str]
    title: str
    description: str
    runbook: str
    value: float | None
    began_at: float
    ended_at: float = 0.0

    @property
    def name(self) -> str:
        """Of its rule."""
        return self.labels.get(NAME, "")

    @property
    def severity(self) -> str:
        """As its rule says."""
        return self.labels.get(SEVERITY, "")

    @property
    def own(self) -> dict[str, str]:
        """The labels beside name and severity."""
        return {name: value for name, value in self.labels.items() if name not in {NAME, SEVERITY}}


class Notice(msgspec.Struct, frozen=True):
    """A message about a group. `id` is that of the message: the same id again is the same message.

    `alerts` are those that fire, then those that have ended; `more` is how many are not among them. `test` marks a
    message that somebody sent to try the channel.
    """

    id: str
    group: dict[str, str]
    alerts: list[Told]
    firing: int
    resolved: int
    more: int = 0
    test: bool = False

    @property
    def status(self) -> Status:
        """Of the group: firing while one of its alerts is."""
        return "firing" if self.firing else "resolved"

    @property
    def headline(self) -> str:
        """In one line: how many, of what, how bad."""
        count = f"{self.status.upper()}:{self.firing or self.resolved}"
        names = list(dict.fromkeys(alert.title for alert in self.alerts))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004 - a line
        place = ", ".join(f"{name}={value}" for name, value in sorted(common(self.alerts, "own").items()))
        mark = "TEST " if self.test else ""
        return f"[{mark}{count}] {shown}" + (f" ({place})" if place else "")


def common(alerts: Sequence[Told], field: Literal["labels", "own"]) -> dict[str, str]:
    """The labels that all alerts have with the same value."""
    if not alerts:
        return {}
    first: dict[str, str] = getattr(alerts[0], field)
    return {
        name: value
        for name, value in first.items()
        if all(getattr(alert, field).get(name) == value for alert in alerts)
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """What tells an alert from others, from its labels."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]


def told(alert: Alert, rules: Mapping[str, Rule]) -> Told:
    """An alert that fires, with what its rule says of it."""
    labels = dict(alert.labels)
    rule = rules.get(alert.rule.removesuffix(UNMEASURED)) or rules.get(alert.rule)
    title = description = runbook = ""
    if rule is not None:
        title, runbook = rule.given.title, rule.given.runbook
        description = described(rule, labels, alert.value)
        if rule.name != alert.rule:
            title = f"{title}: Not Measured"
            description = f"Nothing is known of what the rule {rule.name} looks at."
    return Told(
        fingerprint(labels), "firing", labels, title or alert.rule, description, runbook, alert.value, alert.active_at
    )


def ended(one: Told, at: float) -> Told:
    """The same alert when it does not fire any more."""
    return msgspec.structs.replace(one, status="resolved", ended_at=at)


def made(
    identity: tuple[str, ...], group: Mapping[str, str], firing: Sequence[Told], resolved: Sequence[Told]
) -> Notice:
    """A message; its id comes from what it is about, so that making it again gives the same."""
    whole = [*sorted(firing, key=_order), *sorted(resolved, key=_order)]
    name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:24]
    return Notice(name, dict(group), whole[:MOST_TOLD], len(firing), len(resolved), max(0, len(whole) - MOST_TOLD))


_SEVERITIES = {"critical": 0, "warning": 1}


def _order(one: Told) -> tuple[int, float, str]:
    return _SEVERITIES.get(one.severity, 2), one.began_at, one.fingerprint
