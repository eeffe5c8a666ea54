"""Reads a condition: names, numbers, `+ - * /`, comparisons, `and`, `or`, `not`, parentheses. Pure.

    condition  = both {"or" both}
    both       = other {"and" other}
    other      = "not" other | comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = product {("+" | "-") product}
    product    = factor {("*" | "/") factor}
    factor     = "-" factor | number | name ["{" matcher {"," matcher} "}"] | "(" condition ")"
    matcher    = label ("=" | "!=") string

There are no calls, no powers and no chained comparisons, and length and depth are bounded: reading takes a bounded time
and nothing that is read is ever run as code.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn, cast

from atomic_guide.operations.alerts.tree import (
    TRUTHS,
    Arithmetic,
    Both,
    Comparison,
    Either,
    Match,
    Matcher,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Order,
    Refused,
    Sign,
)

LONGEST = 1000
"""Characters of a condition; the longest shipped one has a tenth."""

DEEPEST = 30
"""Parentheses, `not` and `-` within one another."""

_MOST_TOKENS = 200
"""Names, numbers and marks of a condition: a chain of sums is as deep as it is long."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<text>"[^"\\\n]*")
    | (?P<mark>\*\*|//|<=|>=|==|!=|=~|!~|&&|\|\||[-+*/<>=(){},!%^\[\].:])
    )""",
    re.VERBOSE,
)
_ORDERS = frozenset(("<", "<=", ">", ">=", "==", "!="))
_WORDS = frozenset(("and", "or", "not"))
_HINTS = {
    "**": "there are no powers",
    "^": "there are no powers",
    "//": "divide with /",
    "%": "there is no remainder; write a share such as 0.9",
    "=": "compare with ==",
    "=~": "labels are matched with = or != only",
    "!~": "labels are matched with = or != only",
    "&&": "write and",
    "||": "write or",
    "!": "write not",
    "[": "there are no ranges; write `for` in the rule",
}
_END = "end"


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse(text: str) -> Node:
    """The tree of a condition. Raises `Refused` with the column and the reason."""
    if len(text) > LONGEST:
        raise Refused(f"a condition has at most {LONGEST} characters, not {len(text)}", LONGEST + 1)
    reader = _Reader(_tokens(text))
    tree = reader.condition()
    if reader.next.kind != _END:
        reader.refuse_next()
    if not isinstance(tree, TRUTHS):
        raise Refused("this is a number, and a condition is true or false: compare it with something", tree.column)
    return tree


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            begin = place + len(text[place:]) - len(text[place:].lstrip())
            said = "a text ends with a quotation mark" if text[begin] == '"' else f"{text[begin]!r} means nothing here"
            raise Refused(said, begin + 1)
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind) + 1))
        if len(tokens) > _MOST_TOKENS:
            raise Refused(f"a condition has at most {_MOST_TOKENS} names, numbers and marks", tokens[-1].column)
        place = match.end()
    return [*tokens, _Token(_END, "", end + 1)]


class _Reader:
    """Goes over the tokens, one function for each line of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._place]

    def condition(self) -> Node:
        left = self._both()
        while self._comes("or"):
            column = self._take().column
            left = Either(_truth(left, "or"), _truth(self._both(), "or"), column)
        return left

    def _both(self) -> Node:
        left = self._other()
        while self._comes("and"):
            column = self._take().column
            left = Both(_truth(left, "and"), _truth(self._other(), "and"), column)
        return left

    def _other(self) -> Node:
        if not self._comes("not"):
            return self._comparison()
        column = self._take().column
        self._enter(column)
        made = Not(_truth(self._other(), "not"), column)
        self._depth -= 1
        return made

    def _comparison(self) -> Node:
        left = self._sum()
        if self.next.text not in _ORDERS:
            return left
        token = self._take()
        right = self._sum()
        if self.next.text in _ORDERS:
            raise Refused("comparisons are not chained; write `a < b and b < c`", self.next.column)
        return Comparison(cast("Order", token.text), _number(left, token.text), _number(right, token.text), left.column)

    def _sum(self) -> Node:
        left = self._product()
        while self.next.text in {"+", "-"}:
            left = self._arithmetic(left, self._take(), self._product())
        return left

    def _product(self) -> Node:
        left = self._factor()
        while self.next.text in {"*", "/"}:
            left = self._arithmetic(left, self._take(), self._factor())
        return left

    def _arithmetic(self, left: Node, token: _Token, right: Node) -> Node:
        sign = cast("Sign", token.text)
        return Arithmetic(sign, _number(left, sign), _number(right, sign), left.column)

    def _factor(self) -> Node:
        token = self._take()
        if token.text == "-":
            self._enter(token.column)
            made: Node = Negative(_number(self._factor(), "-"), token.column)
            self._depth -= 1
            return made
        if token.text == "(":
            self._enter(token.column)
            made = self.condition()
            self._expect(")", "a parenthesis that is opened here is not closed", token.column)
            self._depth -= 1
            return made
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise Refused(f"{token.text} is no finite number", token.column)
            return Number(value, token.column)
        if token.kind == "word" and token.text not in _WORDS:
            return self._name(token)
        self._place -= token.kind != _END
        return self.refuse_next()

    def _name(self, token: _Token) -> Node:
        if self.next.text == "(":
            raise Refused(f"{token.text}(...) is a call, and there are no calls", token.column)
        if self.next.text != "{":
            return Name(token.text, (), token.column)
        opened = self._take()
        matchers = [self._matcher()]
        while self.next.text == ",":
            self._take()
            matchers.append(self._matcher())
        self._expect("}", "a brace that is opened here is not closed", opened.column)
        return Name(token.text, tuple(matchers), token.column)

    def _matcher(self) -> Matcher:
        label, match, value = self._take(), self._take(), self._take()
        if label.kind != "word" or match.text not in {"=", "!="} or value.kind != "text":
            hint = _HINTS.get(match.text) if match.text in {"=~", "!~"} else 'write label="value" or label!="value"'
            raise Refused(str(hint), label.column)
        return Matcher(label.text, cast("Match", match.text), value.text[1:-1], label.column)

    def refuse_next(self) -> NoReturn:
        """Raise `Refused` for what comes and has no place there."""
        token = self.next
        if token.kind == _END:
            raise Refused("the condition ends where a name or a number is expected", token.column)
        if token.text in _HINTS:
            raise Refused(f"{token.text} is not known: {_HINTS[token.text]}", token.column)
        if token.text.lower() in _WORDS and token.text not in _WORDS:
            raise Refused(f"write {token.text.lower()} in small letters", token.column)
        raise Refused(f"{token.text} has no place here", token.column)

    def _comes(self, word: str) -> bool:
        return self.next.kind == "word" and self.next.text == word

    def _take(self) -> _Token:
        token = self.next
        self._place += token.kind != _END
        return token

    def _expect(self, mark: str, otherwise: str, column: int) -> None:
        if self.next.text == mark:
            self._take()
        elif self.next.kind == _END:
            raise Refused(otherwise, column)
        else:
            self.refuse_next()

    def _enter(self, column: int) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Refused(f"it is nested more than {DEEPEST} deep", column)


def _truth(node: Node, word: str) -> Node:
    if not isinstance(node, TRUTHS):
        raise Refused(f"{word} joins what is true or false, and this is a number: compare it first", node.column)
    return node


def _number(node: Node, mark: str) -> Node:
    if isinstance(node, TRUTHS):
        raise Refused(f"{mark} takes numbers, and this is true or false", node.column)
    return node
