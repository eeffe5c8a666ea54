"""What readers of scores returned, in a form in which two of them can be compared bit by bit."""

import struct

from atomic_guide.course.analytics.columns import Read
from atomic_guide.course.analytics.forms import Taken
from atomic_guide.course.analytics.scores import Rejected

Outcome = tuple[list[tuple[object, ...]], list[Rejected]]


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


def of_rows(rows: Taken) -> Outcome:
    scores = [row for row in rows if not isinstance(row, Rejected)]
    return [
        (line, score.user, score.activity, bits(score.score), bits(score.maximum), bits(score.at), score.id)
        for line, score in scores
    ], [row for row in rows if isinstance(row, Rejected)]


def of_columns(reads: list[Read]) -> Outcome:
    found: list[tuple[object, ...]] = []
    for columns in (read.columns for read in reads):
        numbers = (map(bits, column.tolist()) for column in (columns.score, columns.maximum, columns.at))
        found += zip(columns.line.tolist(), columns.user, columns.activity, *numbers, columns.id, strict=True)
    return found, [rejected for read in reads for rejected in read.rejected]
