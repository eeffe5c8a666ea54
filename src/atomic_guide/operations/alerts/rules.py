"""The rules that are in force: the shipped ones, changed and added to by settings, each checked to its end.

Every fault is found, not only the first one, and names the rule, the field, and for a condition the column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.operations.alerts.check import checked
from atomic_guide.operations.alerts.names import LIMIT
from atomic_guide.operations.alerts.rule import NAME, SEVERITY, Given, Rule, fields_of
from atomic_guide.operations.alerts.shipped import SHIPPED
from atomic_guide.operations.alerts.spans import seconds_of
from atomic_guide.operations.alerts.tree import Refused

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.settings import RuleSettings

MOST_RULES = 500
"""Beside the shipped ones: all of them are judged in 12 ms."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,59}")
_LONGEST_LABEL = 200
_SAME = ("condition", "severity", "limit", "labels", "title", "description", "runbook", "unmeasured", "enabled")
_SPANS = {"for_": "for_seconds", "keep_firing_for": "keep_firing_seconds", "unmeasured_after": "unmeasured_after"}


class Fault(NamedTuple):
    """What is wrong with a rule. `column` is 0 where no condition is at fault."""

    rule: str
    field: str
    column: int
    reason: str

    @property
    def said(self) -> str:
        """In one line."""
        place = f", column {self.column}" if self.column else ""
        return f"the rule {self.rule}, {self.field}{place}: {self.reason}"


class Found(NamedTuple):
    """Rules by name, those that are switched off too, and what is wrong with others."""

    rules: dict[str, Rule]
    faults: list[Fault]

    @property
    def enabled(self) -> list[Rule]:
        """Those that are evaluated."""
        return [rule for rule in self.rules.values() if rule.given.enabled]


def rules_of(settings: Iterable[RuleSettings], runbooks: str | None = None) -> Found:
    """The rules in force, and every fault of those that cannot be. `runbooks`: where docs/alerts.md can be read."""
    given = {
        rule.name: rule._replace(shipped=True, runbook=f"{runbooks}#{rule.name}" if runbooks else "")
        for rule in SHIPPED
    }
    faults: list[Fault] = []
    changed: set[str] = set()
    for number, one in enumerate(settings):
        if one.name in changed:
            faults.append(Fault(one.name, "name", 0, "it is there twice"))
        if number >= MOST_RULES:
            faults.append(Fault(one.name, "name", 0, f"there are more than {MOST_RULES} rules"))
            break
        changed.add(one.name)
        base = given.get(one.name)
        if base is None and one.condition is None:
            faults.append(Fault(one.name, "condition", 0, "it has none, and no shipped rule has its name"))
            continue
        given[one.name] = _changed(base or Given(one.name, one.name, ""), one, faults)
    rules: dict[str, Rule] = {}
    for each in given.values():
        rule = _checked(each, faults)
        if rule is not None:
            rules[rule.name] = rule
    return Found(rules, faults)


def _changed(base: Given, one: RuleSettings, faults: list[Fault]) -> Given:
    new = {name: getattr(one, name) for name in _SAME if getattr(one, name) is not None}
    for name, field in _SPANS.items():
        value = getattr(one, name)
        if value is not None:
            try:
                new[field] = seconds_of(value)
            except ValueError as error:
                faults.append(Fault(one.name, name.rstrip("_"), 0, str(error)))
    return base._replace(**new)


def _checked(given: Given, faults: list[Fault]) -> Rule | None:
    def fault(field: str, reason: str, column: int = 0) -> None:
        faults.append(Fault(given.name, field, column, reason))

    words = {LIMIT: given.limit} if given.limit is not None and math.isfinite(given.limit) else {}
    try:
        rule = Rule(given, checked(given.condition, words))
    except Refused as error:
        fault("condition", error.reason, error.column)
        return None
    before = len(faults)
    _check_labels(rule, fault)
    _check_description(rule, fault)
    if given.runbook and not given.runbook.startswith(("https://", "http://")):
        fault("runbook", "it is no web address")
    return rule if len(faults) == before else None


def _check_labels(rule: Rule, fault: Callable[[str, str], None]) -> None:
    taken = {NAME, SEVERITY, *rule.condition.labels, *rule.condition.fixed}
    for name, value in rule.given.labels.items():
        if not _LABEL.fullmatch(name):
            fault("labels", f"{name!r} is no name of a label; it has letters, digits and _")
        elif name in taken:
            fault("labels", f"{name} is a label that its alerts have already")
        elif not 0 < len(value) <= _LONGEST_LABEL or not value.isprintable():
            fault("labels", f"the value of {name} has 1 to {_LONGEST_LABEL} characters that can be seen")


def _check_description(rule: Rule, fault: Callable[[str, str], None]) -> None:
    known = {"value", "percent", *rule.labels, *rule.condition.labels}
    try:
        unknown = sorted(fields_of(rule.given.description) - known)
    except ValueError as error:
        fault("description", f"its braces do not fit ({error})")
        return
    if unknown:
        fault("description", f"there is no {{{unknown[0]}}}; there are {', '.join(sorted(known))}")
