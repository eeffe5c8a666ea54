"""Which alerts are meant: matchers over their labels, as Alertmanager writes them. Pure.

`severity=critical`, `part!="video"`, `alertname=~"queue-.*"`, `fleet!~"web|workers"`; a word alone is a rule's name. A
label that an alert has not is empty. Patterns are matched as a whole, and bounded in length and in work (patterns.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from atomic_guide.errors import Invalid
from atomic_guide.operations.alerts.patterns import compiled_pattern
from atomic_guide.operations.alerts.rule import NAME

MOST = 20
"""Matchers of a silence or a route."""

_LONGEST = 200
_FORM = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^\s"{},=][^\s"{},]*|)\s*')
_WORD = re.compile(r"[a-z0-9][a-z0-9-]*")


class LabelMatcher(NamedTuple):
    """One condition on one label."""

    label: str
    sign: str
    value: str

    @property
    def said(self) -> str:
        """As it is written."""
        plain = self.value if "~" in self.sign else self.value.replace("\\", r"\\").replace('"', r"\"")
        return f'{self.label}{self.sign}"{plain}"'


Test = Callable[[Mapping[str, str]], bool]


def read_matcher(text: str) -> LabelMatcher:
    """A matcher from its text. Raises `Invalid` saying what is written instead."""
    if _WORD.fullmatch(text):
        return LabelMatcher(NAME, "=", text)
    match = _FORM.fullmatch(text)
    if match is None or len(text) > _LONGEST or not text.isprintable():
        raise Invalid(f"{text[:_LONGEST]!r} matches nothing; write a rule's name, or label=value (or !=, =~, !~)")
    label, sign, value = match.groups()
    if value.startswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1]) if sign in {"=", "!="} else value[1:-1]
    if "~" in sign:
        compiled_pattern(value)
    return LabelMatcher(label, sign, value)


def read_matchers(texts: Iterable[str]) -> tuple[LabelMatcher, ...]:
    """All of them. Raises `Invalid` as `read_matcher` does, and where there are too many."""
    found = tuple(read_matcher(text) for text in texts)
    if len(found) > MOST:
        raise Invalid(f"there are more than {MOST} matchers")
    return found


def matching(matchers: Sequence[LabelMatcher]) -> Test:
    """Whether all of them hold for an alert's labels."""
    tests = [_test(matcher) for matcher in matchers]
    return lambda labels: all(test(labels) for test in tests)


def _test(matcher: LabelMatcher) -> Test:
    label, sign, value = matcher
    if sign == "=":
        return lambda labels: labels.get(label, "") == value
    if sign == "!=":
        return lambda labels: labels.get(label, "") != value
    pattern = compiled_pattern(value)
    if sign == "=~":
        return lambda labels: pattern.fullmatch(labels.get(label, "")) is not None
    return lambda labels: pattern.fullmatch(labels.get(label, "")) is None
