"""Scores by column, as they go from the readers of files to the database.

Rows as objects cost more than reading them: a list for each column and an array for each number is what a bulk
statement takes, and a hundredth of the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from atomic_guide.course.analytics.figures import Doubles, Flags, Whole
from atomic_guide.course.analytics.scores import Rejected, Score


class Columns(NamedTuple):
    """Checked scores in the order of their lines; the fields are those of `Score`."""

    line: Whole
    user: list[str]
    activity: list[str]
    score: Doubles
    maximum: Doubles
    at: Doubles
    id: list[str]

    @property
    def rows(self) -> int:
        """How many scores there are."""
        return len(self.user)

    def part(self, start: int, stop: int) -> Columns:
        """The scores from one place to another."""
        return self._each(lambda numbers: numbers[start:stop], lambda texts: texts[start:stop])

    def only(self, wanted: Flags) -> Columns:
        """The scores that are wanted."""
        if wanted.all():
            return self
        chosen = wanted.tolist()
        return self._each(lambda numbers: numbers[wanted], lambda texts: list(compress(texts, chosen)))

    def in_order(self) -> Columns:
        """The scores sorted by line."""
        order = np.argsort(self.line, kind="stable")
        places = order.tolist()
        return self._each(lambda numbers: numbers[order], lambda texts: [texts[place] for place in places])

    def _each(self, of_numbers: Callable[[Any], Any], of_texts: Callable[[list[str]], list[str]]) -> Columns:
        return Columns(
            of_numbers(self.line),
            of_texts(self.user),
            of_texts(self.activity),
            of_numbers(self.score),
            of_numbers(self.maximum),
            of_numbers(self.at),
            of_texts(self.id),
        )


class Mark(NamedTuple):
    """A place in an input: the bytes and lines before it are decided, a reader that begins there returns the rest."""

    offset: int = 0
    line: int = 0


class Read(NamedTuple):
    """What a piece of input held: scores and rejected rows, each in the order of their lines."""

    columns: Columns
    rejected: list[Rejected]


def from_scores(rows: Sequence[tuple[int, Score]]) -> Columns:
    """Scores with their lines, by column."""
    scores = [score for _, score in rows]
    return Columns(
        np.array([line for line, _ in rows], np.int64),
        [score.user for score in scores],
        [score.activity for score in scores],
        np.array([score.score for score in scores], np.float64),
        np.array([score.maximum for score in scores], np.float64),
        np.array([score.at for score in scores], np.float64),
        [score.id for score in scores],
    )


def from_rows(rows: Iterable[tuple[int, Score] | Rejected]) -> Read:
    """What a reader of rows returned, by column."""
    scores: list[tuple[int, Score]] = []
    rejected: list[Rejected] = []
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            scores.append(row)
    return Read(from_scores(scores), rejected)


def joined(parts: Sequence[Columns]) -> Columns:
    """Several columns after one another; there must be one at least."""
    if len(parts) == 1:
        return parts[0]
    return Columns(
        np.concatenate([part.line for part in parts]),
        [user for part in parts for user in part.user],
        [activity for part in parts for activity in part.activity],
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.maximum for part in parts]),
        np.concatenate([part.at for part in parts]),
        [identity for part in parts for identity in part.id],
    )
