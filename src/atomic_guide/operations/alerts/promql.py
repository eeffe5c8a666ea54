"""Prints a condition as PromQL that has a sample exactly where the condition is true. Pure.

A comparison of Prometheus keeps the series for which it holds, and drops those that are not there: what is unknown here
has no sample there. `not` is carried into the comparisons first (tree.py), which so leave out what is unknown too. A
division drops divisors of zero. Each name is read over `LOOKBACK` seconds, so that scrapes and ticks that are missed
mean the same on both sides, and only by the labels that the condition knows: which process was scraped does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import NamedTuple

from atomic_guide.operations.alerts.check import Condition, Labels, constant
from atomic_guide.operations.alerts.days import shifts
from atomic_guide.operations.alerts.names import Selector
from atomic_guide.operations.alerts.spans import said
from atomic_guide.operations.alerts.traces import LOOKBACK
from atomic_guide.operations.alerts.tree import (
    Arithmetic,
    Both,
    Comparison,
    Either,
    Name,
    Negative,
    Node,
    denied,
    parts_of,
)

MEASUREMENT = "atomic_guide_scaling_measurement"
SHIFT = "atomic_guide_alerts_shift_seconds"

_LOWEST, _ATOM, _UNARY = 0, 9, 6
_STRENGTHS = {"or": 1, "and": 2, "+": 4, "-": 4, "*": 5, "/": 5}
_COMPARES = 3


class Scope(NamedTuple):
    """How names are read: extra matchers of every series (as Prometheus writes them), and whose days count, from when.

    `day` (ISO 8601) matters only for zones that change their clocks.
    """

    matchers: str = ""
    zone: tzinfo = UTC
    day: str = "2026-01-01"


class _Said(NamedTuple):
    text: str
    strength: int
    labels: Labels

    def within(self, strength: int) -> str:
        """In parentheses where its own operator binds less."""
        return self.text if self.strength >= strength else f"({self.text})"


class Printer:
    """Prints the parts of one condition, reading each name over `lookback` seconds."""

    def __init__(self, condition: Condition, scope: Scope = Scope(), lookback: float = LOOKBACK) -> None:  # noqa: B008 - it is immutable
        self._condition = condition
        self._scope = scope
        self._lookback = lookback

    def holds(self) -> str:
        """Where the condition is true."""
        return self._node(self._condition.tree).text

    def fails(self) -> str:
        """Where it is false: known not to hold."""
        return self._node(denied(self._condition.tree)).text

    def _node(self, node: Node) -> _Said:
        if (value := constant(node)) is not None and not isinstance(node, Comparison | Both | Either):
            return _Said(_number(value), _ATOM if value >= 0 else _UNARY, ())
        if isinstance(node, Name):
            return self._read(self._condition.reads[node])
        if isinstance(node, Negative):
            of = self._node(node.of)
            return _Said(f"-{of.within(_ATOM)}", _UNARY, of.labels)
        left, right = (self._node(part) for part in parts_of(node))
        if isinstance(node, Arithmetic):
            if node.sign == "/" and constant(node.right) is None:
                right = _Said(f"{right.within(_COMPARES + 1)} != 0", _COMPARES, right.labels)
            return _joined(node.sign, left, right, _STRENGTHS[node.sign], _constants(node))
        if isinstance(node, Comparison):
            return _joined(node.order, left, right, _COMPARES, _constants(node))
        return self._logical(node, left, right)

    def _logical(self, node: Node, left: _Said, right: _Said) -> _Said:
        either = isinstance(node, Either)
        word = "or" if either else "and"
        strength = _STRENGTHS[word]
        if right.labels and not left.labels:
            # The side with the labels comes first: it is what remains.
            left, right = right, left
        matching = ""
        if left.labels != right.labels and either:
            # What has no labels counts for every place that the condition is about.
            right = _Said(f"({self._places()}) and on() {right.within(_STRENGTHS['and'] + 1)}", _STRENGTHS["and"], ())
        elif left.labels != right.labels:
            matching = " on()"
        return _Said(f"{left.within(strength)} {word}{matching} {right.within(strength + 1)}", strength, left.labels)

    def _places(self) -> str:
        """A sample for each place that any name of the condition is measured for."""
        return " or ".join(self._read(one).within(_STRENGTHS["or"]) for one in self._condition.selectors if one.free)

    def _read(self, selector: Selector) -> _Said:
        distances = self._distances(selector)
        if len(distances) == 1:
            return _Said(self._series(selector, distances[0]), _ATOM, selector.free)
        kind = "day" if selector.measured.daily else "time"
        shift = (
            f"max(last_over_time({SHIFT}{{to={_text(selector.when)},of={_text(kind)}{self._extra}}}[{self._range}]))"
        )
        ways = [f"({self._series(selector, one)} and on() {shift} == {_number(one)})" for one in distances]
        return _Said(f"({' or '.join(ways)})", _ATOM, selector.free)

    def _distances(self, selector: Selector) -> Sequence[float]:
        if selector.when == "now":
            return (0.0,)
        return shifts(self._scope.day, selector.when, self._scope.zone, daily=selector.measured.daily)

    def _series(self, selector: Selector, distance: float) -> str:
        measured = selector.measured
        matchers = [] if measured.component is None else [f"component={_text(measured.component)}"]
        matchers.append(f"metric={_text(measured.metric)}")
        for sign, pairs in (("=", selector.fixed), ("!=", selector.kept_out)):
            matchers += [f"{_column(label)}{sign}{_text(value)}" for label, value in pairs]
        back = f" offset {said(distance)}" if distance else ""
        read = f"last_over_time({MEASUREMENT}{{{','.join(matchers)}{self._extra}}}[{self._range}]{back})"
        for label in selector.free:
            if label != _column(label):
                read = f'label_replace({read}, {_text(label)}, "$1", "part", "(.*)")'
        by = f" by ({', '.join(selector.free)}) " if selector.free else ""
        return f"max{by}({read})"

    @property
    def _extra(self) -> str:
        return f",{self._scope.matchers}" if self._scope.matchers else ""

    @property
    def _range(self) -> str:
        return said(self._lookback)


def _joined(mark: str, left: _Said, right: _Said, strength: int, constants: tuple[bool, bool]) -> _Said:
    matching = ""
    if not any(constants) and left.labels != right.labels:
        matching = " on() group_left()" if left.labels else " on() group_right()"
    # Of two that bind alike the right one stands in parentheses; comparisons are never chained.
    text = f"{left.within(strength if strength != _COMPARES else strength + 1)} {mark}{matching} "
    return _Said(text + right.within(strength + 1), strength, left.labels or right.labels)


def _constants(node: Node) -> tuple[bool, bool]:
    left, right = parts_of(node)
    return constant(left) is not None, constant(right) is not None


def _column(label: str) -> str:
    return label if label in {"component", "part"} else "part"


def _number(value: float) -> str:
    return f"{int(value)}" if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - repr of more has an exponent


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
