"""What a condition is once it is read: a tree of numbers and truths, each with the column where it stands. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

Order = Literal["<", "<=", ">", ">=", "==", "!="]
Sign = Literal["+", "-", "*", "/"]
Match = Literal["=", "!="]

OPPOSITE: dict[Order, Order] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
"""What holds where a comparison of two known numbers does not."""


class Refused(ValueError):
    """A condition that is not taken: `reason` in plain words, and the `column` of what is at fault, from 1."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(f"column {column}: {reason}")
        self.reason = reason
        self.column = column


class Matcher(NamedTuple):
    """Which series of a name are meant: those whose label is, or is not, a value."""

    label: str
    match: Match
    value: str
    column: int


class Number(NamedTuple):
    """A number as it is written."""

    value: float
    column: int


class Name(NamedTuple):
    """What is measured, or a word that stands for a number of the rule."""

    name: str
    matchers: tuple[Matcher, ...]
    column: int


class Negative(NamedTuple):
    """A number with the other sign."""

    of: Node
    column: int


class Arithmetic(NamedTuple):
    """Two numbers to one."""

    sign: Sign
    left: Node
    right: Node
    column: int


class Comparison(NamedTuple):
    """Two numbers to a truth."""

    order: Order
    left: Node
    right: Node
    column: int


class Both(NamedTuple):
    """`and`."""

    left: Node
    right: Node
    column: int


class Either(NamedTuple):
    """`or`."""

    left: Node
    right: Node
    column: int


class Not(NamedTuple):
    """`not`."""

    of: Node
    column: int


Node = Number | Name | Negative | Arithmetic | Comparison | Both | Either | Not
TRUTHS = (Comparison, Both, Either, Not)
"""The nodes that are true, false or unknown; the others are numbers, or unknown."""


def parts_of(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    if isinstance(node, Arithmetic | Comparison | Both | Either):
        return node.left, node.right
    return (node.of,) if isinstance(node, Negative | Not) else ()


def denied(node: Node) -> Node:
    """The condition that is true exactly where `node` is false, so that what is unknown is so in both.

    `not` is carried down to the comparisons, which turn round.
    """
    if isinstance(node, Not):
        return affirmed(node.of)
    if isinstance(node, Both):
        return Either(denied(node.left), denied(node.right), node.column)
    if isinstance(node, Either):
        return Both(denied(node.left), denied(node.right), node.column)
    if isinstance(node, Comparison):
        return node._replace(order=OPPOSITE[node.order])
    return node


def affirmed(node: Node) -> Node:
    """The same condition without any `not`."""
    if isinstance(node, Not):
        return denied(node.of)
    if isinstance(node, Both | Either):
        return node._replace(left=affirmed(node.left), right=affirmed(node.right))
    return node
