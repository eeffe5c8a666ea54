"""NDJSON read by columns: row for row what `forms.NdjsonForm` makes of the same lines.

A thousand lines are decoded at once, as rows of the plain shape: texts and numbers. Where that fails they are read
one by one, as is each row that does not surely pass. A decoder of many lines does not see where one ends: that every
line begins and ends with a brace and that there are as many rows as lines makes each of them one object, since in
the plain shape a brace before the last can only stand in a text, and no text goes on over the end of a line.
"""

from __future__ import annotations

import msgspec
import numpy as np

from atomic_guide.course.analytics.columns import Columns, Mark, Read, from_rows, from_scores, joined
from atomic_guide.course.analytics.digits import WIDEST, times
from atomic_guide.course.analytics.figures import Flags
from atomic_guide.course.analytics.forms import NdjsonForm
from atomic_guide.course.analytics.scores import FUTURE_SECONDS, TEXT_LIMIT, WIDE_LIMIT

TOGETHER = 1000
"""Lines decoded at once; one that is not plain costs all of them a second reading, 4 ms."""

_Lines = list[tuple[int, bytes | None]]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    user: str
    activity: str
    score: float
    max: float
    at: str
    id: str | None = None


_DECODER = msgspec.json.Decoder(_Row)


class Ndjson:
    """One JSON object on each line."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._form = NdjsonForm(now)

    @property
    def mark(self) -> Mark:
        """How far everything has been returned."""
        return self._form.lines.mark

    def resume(self, head: bytes, mark: Mark) -> None:
        """Go on at the mark of an earlier reader."""
        del head
        self._form.lines.mark = mark

    def feed(self, piece: bytes) -> Read:
        """Take the next bytes."""
        return self._read(self._form.lines.feed(piece))

    def finish(self) -> Read:
        """Take the last line, which may lack its end."""
        return self._read(self._form.lines.finish())

    def _read(self, lines: _Lines) -> Read:
        parts = [self._read_some(lines[start : start + TOGETHER]) for start in range(0, len(lines), TOGETHER)]
        if not parts:
            return Read(from_scores([]), [])
        return Read(joined([part.columns for part in parts]), [row for part in parts for row in part.rejected])

    def _read_some(self, lines: _Lines) -> Read:
        rows = _decoded(lines)
        if rows is None:
            return from_rows(self._form.row(*line) for line in lines)
        columns, good = self._columns(lines, rows)
        if good.all():
            return Read(columns, [])
        alone = from_rows(self._form.row(*lines[place]) for place in np.flatnonzero(~good).tolist())
        return Read(joined([columns.only(good), alone.columns]).in_order(), alone.rejected)

    def _columns(self, lines: _Lines, rows: list[_Row]) -> tuple[Columns, Flags]:
        """The rows by column, and which of them surely pass."""
        users, user_read = _texts([row.user for row in rows])
        activities, activity_read = _texts([row.activity for row in rows])
        ids = [row.id or "" for row in rows]
        id_read = without = ~np.array(list(map(bool, ids)), np.bool_)
        if not without.all():
            ids, id_read = _texts(ids)
        score = np.array([row.score for row in rows], np.float64)
        maximum = np.array([row.max for row in rows], np.float64)
        written = [row.at.encode() for row in rows]
        lengths = np.array([len(at) for at in written], np.int64)
        buffer = np.frombuffer(b"".join(written) + bytes(WIDEST), np.uint8)
        at, at_read = times(buffer, np.cumsum(lengths) - lengths, lengths)
        good = user_read & activity_read & (id_read | without) & at_read
        good &= (score >= 0) & (score <= maximum) & (maximum > 0) & np.isfinite(maximum)
        good &= (at >= 0) & (at <= self._now + FUTURE_SECONDS)
        line = np.array([number for number, _ in lines], np.int64)
        # -0.0 would be another value than 0.0 to a reader.
        return Columns(line, users, activities, score + 0.0, maximum, at, ids), good


def _decoded(lines: _Lines) -> list[_Row] | None:
    """A row for each line; None where one of them is not of the plain shape."""
    raw = []
    for _, line in lines:
        if line is None or line[:1] != b"{" or line[-1:] != b"}":
            return None
        raw.append(line)
    try:
        rows = _DECODER.decode_lines(b"\n".join(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return rows if len(rows) == len(raw) else None


def _texts(written: list[str]) -> tuple[list[str], Flags]:
    """Texts without white space around them, and which of them surely pass."""
    texts = [text.strip() for text in written]
    everything = "".join(texts)
    if everything.isascii() and everything.isprintable() and max(map(len, texts)) <= TEXT_LIMIT:
        return texts, np.array(list(map(bool, texts)), np.bool_)
    good = [0 < len(text) <= (TEXT_LIMIT if text.isascii() else WIDE_LIMIT) and text.isprintable() for text in texts]
    return texts, np.array(good, np.bool_)
