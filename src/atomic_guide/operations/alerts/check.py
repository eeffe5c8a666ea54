"""Checks what a condition means: that its names exist and its sides belong together. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from atomic_guide.operations.alerts.names import Selector, resolve
from atomic_guide.operations.alerts.parse import parse
from atomic_guide.operations.alerts.tree import (
    Arithmetic,
    Both,
    Comparison,
    Either,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Refused,
    affirmed,
    parts_of,
)

Labels = tuple[str, ...]


class Condition(NamedTuple):
    """A condition that may be evaluated.

    `tree` has no `not` and no words for numbers any more; `selectors` are what its names read, each once; `labels` tell
    its alerts apart, and `fixed` are labels that all of them have, because the condition says so.
    """

    text: str
    tree: Node
    selectors: tuple[Selector, ...]
    reads: Mapping[Name, Selector]
    labels: Labels
    fixed: Mapping[str, str]


def checked(text: str, words: Mapping[str, float] | None = None) -> Condition:
    """A condition from its text; `words` stand for numbers. Raises `Refused` with the column and the reason."""
    tree = affirmed(_spelled(parse(text), words or {}))
    reads: dict[Name, Selector] = {}
    labels = _labels(tree, reads)
    if not reads:
        raise Refused("it names nothing that is measured, and so would always say the same", 1)
    fixed: dict[str, str | None] = {}
    for selector in reads.values():
        for label, value in selector.fixed:
            # Alerts carry a label only where all names agree on it.
            fixed[label] = value if fixed.setdefault(label, value) == value else None
    agreed = {label: value for label, value in fixed.items() if value is not None and label not in labels}
    return Condition(text, tree, tuple(dict.fromkeys(reads.values())), reads, labels, agreed)


def constant(node: Node) -> float | None:
    """The number that a node always is; None where it depends on what is measured, or cannot be reckoned."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Negative):
        value = constant(node.of)
        return None if value is None else -value
    if not isinstance(node, Arithmetic):
        return None
    left, right = constant(node.left), constant(node.right)
    return None if left is None or right is None else reckoned(node.sign, left, right)


def reckoned(sign: str, left: float, right: float) -> float | None:
    """Arithmetic with two known numbers; None for a division by zero."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    return left / right if right else None


def _spelled(node: Node, words: Mapping[str, float]) -> Node:
    """The tree with numbers in the places of words."""
    if isinstance(node, Name):
        if node.name not in words:
            return node
        if node.matchers:
            raise Refused(f"{node.name} is a number of the rule, and has no labels", node.matchers[0].column)
        return Number(float(words[node.name]), node.column)
    if isinstance(node, Arithmetic | Comparison | Both | Either):
        return node._replace(left=_spelled(node.left, words), right=_spelled(node.right, words))
    return node._replace(of=_spelled(node.of, words)) if isinstance(node, Negative | Not) else node


def _labels(node: Node, reads: dict[Name, Selector]) -> Labels:
    """The labels that tell a node's values apart. Raises `Refused` for what cannot be joined."""
    if isinstance(node, Number):
        return ()
    if isinstance(node, Name):
        reads[node] = resolve(node)
        return reads[node].free
    if isinstance(node, Arithmetic):
        _check_constant(node)
    found = [_labels(part, reads) for part in parts_of(node)]
    if isinstance(node, Comparison) and all(constant(part) is not None for part in parts_of(node)):
        raise Refused("both sides are numbers that never change", node.column)
    labelled = list(dict.fromkeys(labels for labels in found if labels))
    if len(labelled) > 1:
        raise Refused(
            f"one side is told apart by {_said(labelled[0])} and the other by {_said(labelled[1])}; write two rules, or"
            ' name one of them, as in queues_oldest{queue="video"}',
            node.column,
        )
    return labelled[0] if labelled else ()


def _check_constant(node: Arithmetic) -> None:
    parts = [constant(part) for part in parts_of(node)]
    if node.sign == "/" and parts[1] == 0:
        raise Refused("it divides by zero", node.right.column)
    if None not in parts:
        value = constant(node)
        if value is None or not math.isfinite(value):
            raise Refused("it is no finite number", node.column)


def _said(labels: Labels) -> str:
    return " and ".join(labels)
