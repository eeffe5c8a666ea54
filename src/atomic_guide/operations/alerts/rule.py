"""A rule as it is in force, and what it says at a moment. Pure."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

from atomic_guide.operations.alerts.check import Condition
from atomic_guide.operations.alerts.compile import Reckon, Truth, compiled, compiled_value
from atomic_guide.operations.alerts.traces import LOOKBACK, Place, Sight

Severity = Literal["critical", "warning", "info"]
Unmeasured = Literal["keep", "resolve"]
Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""

KEPT_UNMEASURED = 900.0
"""Seconds for which a firing alert goes on when nothing is measured any more, where its rule keeps it: by then a
restart is over, and what is gone is gone for good."""

UNMEASURED = "-unmeasured"
"""What the name of an alert ends in that tells that a rule has nothing to go by."""

NAME, SEVERITY = "alertname", "severity"
"""Labels that every alert has: of its rule, as Alertmanager calls it."""


class Judged(NamedTuple):
    """What a rule says of one place: true, false or unknown (None), and the number that people are shown."""

    labels: Labels
    truth: bool | None
    value: float | None


class Rule:
    """A rule that can be evaluated. Times are in seconds."""

    def __init__(self, given: Given, condition: Condition) -> None:
        self.given = given
        self.condition = condition
        self._holds: Truth = compiled(condition)
        self._value: Reckon = compiled_value(condition)

    @property
    def name(self) -> str:
        """What it is called everywhere."""
        return self.given.name

    @cached_property
    def labels(self) -> dict[str, str]:
        """What all of its alerts have in common."""
        own = {NAME: self.name, SEVERITY: self.given.severity}
        return {**self.condition.fixed, **self.given.labels, **own}

    def judge(self, sight: Sight, lookback: float = LOOKBACK) -> list[Judged]:
        """What it says of each place that is there; nothing where no place is."""
        condition = self.condition
        found = [sight.values(selector, lookback) for selector in condition.selectors]
        if not condition.labels:
            values = [each.get(()) for each in found]
            return [Judged((), self._holds(values), self._value(values))]
        spread = [bool(selector.free) for selector in condition.selectors]
        judged = []
        for place in _places(found, spread):
            values = [each.get(place if apart else ()) for each, apart in zip(found, spread, strict=True)]
            labels = tuple(sorted((name, said) for name, said in zip(condition.labels, place, strict=True) if said))
            judged.append(Judged(labels, self._holds(values), self._value(values)))
        return judged


class Given(NamedTuple):
    """What a rule says beside its condition; `description` may name `{value}`, `{percent}` and the labels."""

    name: str
    title: str
    condition: str
    severity: Severity = "warning"
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0
    unmeasured: Unmeasured = "keep"
    unmeasured_after: float | None = None
    limit: float | None = None
    labels: Mapping[str, str] = {}
    description: str = ""
    runbook: str = ""
    shipped: bool = False
    enabled: bool = True


def fields_of(description: str) -> set[str]:
    """The names in braces of a description. Raises ValueError where it cannot be filled in."""
    return {field for _, field, _, _ in string.Formatter().parse(description) if field is not None}


def described(rule: Rule, labels: Mapping[str, str], value: float | None) -> str:
    """The description of one alert."""
    shown = "unknown" if value is None else f"{value:.4g}"
    percent = "unknown" if value is None else f"{100 * value:.3g}%"
    filled = {**labels, "value": shown, "percent": percent}
    names = {**dict.fromkeys(fields_of(rule.given.description), ""), **filled}
    return rule.given.description.format_map(names)


def _places(found: list[Mapping[Place, float]], spread: list[bool]) -> Iterable[Place]:
    return sorted({place for each, apart in zip(found, spread, strict=True) if apart for place in each})
