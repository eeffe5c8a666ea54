"""Whether a pattern is quick whatever it is compared with. Pure.

Python's engine tries one way after the other, and `(a+)+x` has as many as two to the length of the value: one such
silence would hold up the process that leads. So the ways are counted before a pattern is taken: what each part may
choose is multiplied, and a group that may choose is not repeated without end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from atomic_guide.errors import Invalid

_VALUE = 200
"""Characters of a value that are reckoned with; names of rules, queues, shards and tenants have fewer."""

_MOST_WAYS = 100_000
"""Ways of a pattern: 7 ms at most, measured with `.*a.*b` and its like over 200 characters."""

_TOKEN = re.compile(
    r"""(?P<back>\\[1-9]|\(\?P=)
      | (?P<open>\((?:\?:)?)(?P<odd>\?)?
      | (?P<close>\))
      | (?P<or>\|)
      | (?P<repeat>\*|\+|\?|\{(?P<least>\d*)(?P<comma>,)?(?P<most>\d*)\})[?+]?
      | (?P<one>\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.)""",
    re.VERBOSE | re.DOTALL,
)


class _Repeat(NamedTuple):
    least: int
    most: int | None


class _Group:
    """Ways of a group: of its finished branches, of the branch under way, and of the last part of that."""

    def __init__(self) -> None:
        self.finished = 0
        self.branch = 1
        self.last = 1

    def add(self, ways: int) -> None:
        """One part more."""
        self.branch *= self.last
        self.last = ways

    def choose(self) -> None:
        """Another branch."""
        self.finished += self.branch * self.last
        self.branch = self.last = 1

    @property
    def ways(self) -> int:
        return self.finished + self.branch * self.last


def compiled_pattern(text: str) -> re.Pattern[str]:
    """A pattern, to be matched as a whole. Raises `Invalid` for what is none, or could take long."""
    try:
        pattern = re.compile(text, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise Invalid(f"{text!r} is no pattern ({error})") from error
    if _ways(text) > _MOST_WAYS:
        raise Invalid(
            f"{text!r} could take too long: use at most two of *, + and {{n,}}, and none of them after a group that"
            " holds a | or one of them itself"
        )
    return pattern


def _ways(text: str) -> int:
    """In how many ways a pattern may be tried, or a number above all that is let be."""
    groups = [_Group()]
    for match in _TOKEN.finditer(text):
        if match["back"] or match["odd"]:
            raise Invalid(f"{text!r}: there is no {match[0]} here; of what begins with (? there is (?:...)")
        if match["open"]:
            groups.append(_Group())
        elif match["close"]:
            inner = groups.pop().ways
            groups[-1].add(inner)
        elif match["or"]:
            groups[-1].choose()
        elif match["repeat"] and (repeat := _repeat(match)) is not None:
            groups[-1].last = _repeated(groups[-1].last, repeat)
        else:
            groups[-1].add(1)
        if groups[-1].ways > _MOST_WAYS:
            return _MOST_WAYS + 1
    return groups[-1].ways


def _repeat(match: re.Match[str]) -> _Repeat | None:
    """How often; None for braces that are only themselves."""
    mark = match["repeat"]
    if not mark.startswith("{"):
        return {"*": _Repeat(0, None), "+": _Repeat(1, None), "?": _Repeat(0, 1)}[mark]
    least, most = match["least"], match["most"]
    if not least and not (match["comma"] and most):
        return None
    if not match["comma"]:
        return _Repeat(int(least), int(least))
    return _Repeat(int(least or 0), int(most) if most else None)


def _repeated(ways: int, repeat: _Repeat) -> int:
    if ways == 1:
        most = _VALUE if repeat.most is None else min(repeat.most, _VALUE)
        return max(most - repeat.least, 0) + 1
    if repeat.most is None or repeat.most * ways.bit_length() > _MOST_WAYS.bit_length() * 2:
        return _MOST_WAYS + 1
    return sum(ways**often for often in range(repeat.least, repeat.most + 1))
