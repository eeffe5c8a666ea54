"""Turns a checked condition into one function of numbers, once, so that a tick costs no walk over the tree. Pure.

What is not measured is None, and so is everything that depends on it: a comparison with it is neither true nor false,
`and` is false where one side is, `or` is true where one side is, whatever the other would be (Kleene's logic). What is
divided by zero is unknown too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from atomic_guide.operations.alerts.check import Condition, constant
from atomic_guide.operations.alerts.names import Selector
from atomic_guide.operations.alerts.tree import (
    Arithmetic,
    Both,
    Comparison,
    Either,
    Name,
    Negative,
    Node,
    Order,
)

Values = Sequence[float | None]
Reckon = Callable[[Values], float | None]
Truth = Callable[[Values], bool | None]

_ORDERS: dict[Order, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_SIGNS: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class _Compiler:
    """Values stand in the order of the condition's selectors."""

    def __init__(self, condition: Condition) -> None:
        self._reads = condition.reads
        self._places: dict[Selector, int] = {selector: place for place, selector in enumerate(condition.selectors)}

    def truth(self, node: Node) -> Truth:
        if isinstance(node, Comparison):
            return self._comparison(node)
        if isinstance(node, Both):
            return _both(self.truth(node.left), self.truth(node.right))
        if isinstance(node, Either):
            return _either(self.truth(node.left), self.truth(node.right))
        raise TypeError(f"{type(node).__name__} is no truth")

    def _comparison(self, node: Comparison) -> Truth:
        order = _ORDERS[node.order]
        limit = constant(node.right)
        if limit is not None:
            fixed = limit
            if isinstance(node.left, Name):
                place = self._places[self._reads[node.left]]
                return lambda values: None if (a := values[place]) is None else order(a, fixed)
            first = self.number(node.left)
            return lambda values: None if (a := first(values)) is None else order(a, fixed)
        left, right = self.number(node.left), self.number(node.right)

        def compare(values: Values) -> bool | None:
            a = left(values)
            if a is None:
                return None
            b = right(values)
            return None if b is None else order(a, b)

        return compare

    def number(self, node: Node) -> Reckon:
        value = constant(node)
        if value is not None:
            return lambda _values: value
        if isinstance(node, Name):
            place = self._places[self._reads[node]]
            return lambda values: values[place]
        if isinstance(node, Negative):
            of = self.number(node.of)
            return lambda values: None if (a := of(values)) is None else -a
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        raise TypeError(f"{type(node).__name__} is no number")

    def _arithmetic(self, node: Arithmetic) -> Reckon:
        left, right = self.number(node.left), self.number(node.right)
        if node.sign == "/":
            return _divided(left, right)
        join = _SIGNS[node.sign]
        if isinstance(node.left, Name) and (factor := constant(node.right)) is not None:
            place, by = self._places[self._reads[node.left]], factor
            return lambda values: None if (a := values[place]) is None else join(a, by)

        def reckon(values: Values) -> float | None:
            a = left(values)
            if a is None:
                return None
            b = right(values)
            return None if b is None else join(a, b)

        return reckon


def compiled(condition: Condition) -> Truth:
    """Whether the condition holds, from the values of its selectors in their order: true, false, or unknown (None)."""
    return _Compiler(condition).truth(condition.tree)


def compiled_value(condition: Condition) -> Reckon:
    """The number that people are shown beside the condition: what its first comparison compares, as Prometheus does.

    Of `or` it is that of the side that holds.
    """
    return _value(_Compiler(condition), condition.tree)


def _value(compiler: _Compiler, node: Node) -> Reckon:
    if isinstance(node, Comparison):
        return compiler.number(node.right if constant(node.left) is not None else node.left)
    if isinstance(node, Both):
        return _value(compiler, node.left)
    if isinstance(node, Either):
        holds, left, right = compiler.truth(node.left), _value(compiler, node.left), _value(compiler, node.right)
        return lambda values: left(values) if holds(values) else right(values)
    raise TypeError(f"{type(node).__name__} is no truth")


def _both(left: Truth, right: Truth) -> Truth:
    def both(values: Values) -> bool | None:
        a = left(values)
        if a is False:
            return False
        b = right(values)
        if b is False:
            return False
        return None if a is None or b is None else True

    return both


def _either(left: Truth, right: Truth) -> Truth:
    def either(values: Values) -> bool | None:
        a = left(values)
        if a is True:
            return True
        b = right(values)
        if b is True:
            return True
        return None if a is None or b is None else False

    return either


def _divided(left: Reckon, right: Reckon) -> Reckon:
    def divide(values: Values) -> float | None:
        a = left(values)
        if a is None:
            return None
        b = right(values)
        return a / b if b else None

    return divide
