"""The rules in force as a rules file of Prometheus, which means the same there.

What fires here fires there, by the same labels and after the same `for`. A rule that keeps what is no longer measured
also looks at its own alerts (`ALERTS`); one that tells when nothing is measured becomes two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from atomic_guide.operations.alerts.promql import Printer, Scope
from atomic_guide.operations.alerts.rule import KEPT_UNMEASURED, NAME, UNMEASURED, Rule, fields_of
from atomic_guide.operations.alerts.spans import said

TICK = "15s"


def expression(rule: Rule, scope: Scope = Scope()) -> str:  # noqa: B008 - it is immutable
    """What has a sample while an alert of the rule is active."""
    holds = Printer(rule.condition, scope).holds()
    if rule.given.unmeasured != "keep":
        return holds
    last = Printer(rule.condition, scope, KEPT_UNMEASURED).holds()
    by = f" by ({', '.join(rule.condition.labels)}) " if rule.condition.labels else ""
    firing = f'max{by}(ALERTS{{{NAME}={json.dumps(rule.name)},alertstate="firing"}})'
    return f"({holds}) or (({last}) and {firing})"


def unmeasured_expression(rule: Rule, scope: Scope = Scope()) -> str:  # noqa: B008 - as above
    """What has a sample while nothing is known of a rule."""
    printer = Printer(rule.condition, scope)
    return f"absent(({printer.holds()}) or ({printer.fails()}))"


def rules_file(rules: Iterable[Rule], scope: Scope = Scope()) -> str:  # noqa: B008 - as above
    """The file, in YAML. Texts are written as JSON does, which YAML reads as they are."""
    lines = ["groups:", "- name: atomic-guide", f"  interval: {TICK}", "  rules:"]
    for rule in rules:
        for entry in _entries(rule, scope):
            head, *rest = _lines(entry)
            lines += [f"  - {head}", *(f"    {line}" for line in rest)]
    return "\n".join(lines) + "\n"


def _entries(rule: Rule, scope: Scope) -> Iterator[dict[str, Any]]:
    given = rule.given
    labels = {name: value for name, value in rule.labels.items() if name != NAME}
    yield {
        "alert": rule.name,
        "expr": expression(rule, scope),
        "for": said(given.for_seconds),
        **({"keep_firing_for": said(given.keep_firing_seconds)} if given.keep_firing_seconds else {}),
        "labels": labels,
        "annotations": _annotations(rule, _template(given.description)),
    }
    if given.unmeasured_after is not None:
        yield {
            "alert": rule.name + UNMEASURED,
            "expr": unmeasured_expression(rule, scope),
            "for": said(given.unmeasured_after),
            "labels": labels,
            "annotations": _annotations(rule, f"Nothing is known of what the rule {rule.name} looks at."),
        }


def _annotations(rule: Rule, description: str) -> dict[str, str]:
    given = rule.given
    found = {"summary": given.title, "description": description, "runbook_url": given.runbook}
    return {name: text for name, text in found.items() if text}


def _template(description: str) -> str:
    """The description in Prometheus's own templates."""
    places = {name: f"{{{{ $labels.{name} }}}}" for name in fields_of(description)}
    places["value"] = "{{ $value | humanize }}"
    places["percent"] = "{{ $value | humanizePercentage }}"
    return re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), description)


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        if isinstance(value, dict):
            if value:
                yield f"{name}:"
                yield from (f"  {key}: {json.dumps(text, ensure_ascii=False)}" for key, text in value.items())
        else:
            yield f"{name}: {json.dumps(value, ensure_ascii=False)}"
