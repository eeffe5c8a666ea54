"""CSV read by columns: row for row what `forms.CsvForm` makes of the same bytes, several times as fast.

A block of whole lines becomes an array of bytes. A line is *plain* where it has the header's number of fields, its
quotes only enclose whole fields, and nothing in it needs a second look (control characters, bytes that are no UTF-8,
white space other than blanks). Plain lines are read a column at a time. Every other line, and each plain one with a
field that was not read or that breaks a rule, goes to `forms.Records`, which takes it or says why not. So there is one
set of rules and reasons; this module only knows which rows surely pass.
"""

from __future__ import annotations

import numpy as np

from atomic_guide import errors
from atomic_guide.course.analytics.block import Block, Table
from atomic_guide.course.analytics.columns import Columns, Mark, Read, from_rows, from_scores, joined
from atomic_guide.course.analytics.digits import decimals, times
from atomic_guide.course.analytics.figures import Flags, Whole
from atomic_guide.course.analytics.forms import LINE_LIMIT, Records, Taken, end_line
from atomic_guide.course.analytics.scores import FUTURE_SECONDS, TEXT_LIMIT


class Sheet:
    """A CSV reader. Raises `Invalid` where the header cannot be used."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._records = Records(now)
        # For lines that were taken for plain: the others may have a record open meanwhile.
        self._alone = Records(now)
        self._rest = b""
        # Bytes of an over-long line that were not kept.
        self._dropped = 0
        self._done = Mark()
        # Where the lines began that may belong to an open record.
        self._starts: dict[int, int] = {}

    @property
    def mark(self) -> Mark:
        """How far everything has been returned: the bytes and lines before that place."""
        line = self._records.open_line
        return self._done if line is None else Mark(self._starts[line], line - 1)

    def resume(self, head: bytes, mark: Mark) -> None:
        """Go on at the mark of an earlier reader; `head` is the beginning of the input.

        Raises `Invalid` where the header is not in it.
        """
        self._header(head)
        if self._records.columns is None:
            raise errors.Invalid(f"no header in the first {len(head)} bytes; remove the empty lines before it")
        self._done = mark

    def feed(self, piece: bytes) -> Read:
        """Take the next bytes; returns the rows that they complete."""
        if len(self._rest) > LINE_LIMIT:
            end = piece.find(b"\n")
            kept = piece[end:] if end >= 0 else b""
            self._dropped += len(piece) - len(kept)
            piece = kept
        data = self._rest + piece
        end = data.rfind(b"\n") + 1
        self._rest = data[end : end + LINE_LIMIT + 1]
        if end:
            # An over-long line is the first of the data; no other place lies before its end.
            self._done = self._done._replace(offset=self._done.offset + self._dropped)
            self._dropped = 0
        read = self._lines(data[:end])
        self._dropped += len(data) - end - len(self._rest)
        return read

    def finish(self) -> Read:
        """Say that there are no more bytes; returns what was left."""
        size = self._done.offset + len(self._rest) + self._dropped
        last = self._lines(self._rest + b"\n" if self._rest else b"")
        self._rest = b""
        left = from_rows(self._records.finish())
        self._done = self._done._replace(offset=size)
        return Read(joined([last.columns, left.columns]).in_order(), last.rejected + left.rejected)

    def _lines(self, data: bytes) -> Read:
        """Read whole lines."""
        data = data[self._header(data) :] if self._records.columns is None else data
        names = self._records.columns
        if not data or names is None:
            return Read(from_scores([]), [])
        block = Block(data, self._records.delimiter, len(names))
        rows = self._read_odd(block)
        columns, refused = self._read_plain(block, names)
        for line in refused.tolist():
            rows += [row for numbered in self._line(block, line) for row in self._alone.add(*numbered)]
        self._done = Mark(self._done.offset + len(data), self._done.line + len(block.ends))
        decided = from_rows(rows)
        decided.rejected.sort(key=lambda rejected: rejected.line)
        if not decided.columns.rows:
            return Read(columns, decided.rejected)
        return Read(joined([columns, decided.columns]).in_order(), decided.rejected)

    def _header(self, data: bytes) -> int:
        """Read lines until one of them was the header; returns how many bytes that took."""
        used = 0
        while self._records.columns is None and (end := data.find(b"\n", used)) >= 0:
            self._done = Mark(self._done.offset + end + 1 - used, self._done.line + 1)
            for number, line in end_line(self._done.line, data[used:end]):
                self._records.add(number, line)
            used = end + 1
        self._alone.columns, self._alone.delimiter = self._records.columns, self._records.delimiter
        return used

    def _read_odd(self, block: Block) -> Taken:
        """Read the odd lines, and with each those that its quotes may span: they become odd, too."""
        rows: Taken = []
        following = 0
        odd = (
            [0, *np.flatnonzero(block.odd).tolist()] if self._records.open_line else np.flatnonzero(block.odd).tolist()
        )
        for place in odd:
            following = max(following, place)
            while following < len(block.ends) and (following == place or self._records.open_line):
                for number, line in self._line(block, following):
                    self._starts[number] = self._done.offset + block.start(following)
                    rows += self._records.add(number, line)
                block.odd[following] = True
                following += 1
        first = self._records.open_line
        self._starts = {line: start for line, start in self._starts.items() if first is not None and line >= first}
        return rows

    def _line(self, block: Block, place: int) -> list[tuple[int, bytes | None]]:
        return end_line(self._done.line + place + 1, block.line(place))

    def _read_plain(self, block: Block, names: list[str]) -> tuple[Columns, Whole]:
        """The scores of the plain lines, and the places of those lines that must be looked at one by one."""
        plain = np.flatnonzero(~block.odd)
        if not len(plain):
            return from_scores([]), plain
        table = block.table()
        texts, good = _texts(table, names)
        points = b".," if self._records.delimiter == ";" else b"."
        score, score_read = decimals(*table.field(names.index("score")), points)
        maximum, maximum_read = decimals(*table.field(names.index("max")), points)
        at, at_read = times(*table.field(names.index("at")))
        good &= score_read & maximum_read & at_read
        good &= (maximum > 0) & (score <= maximum) & (at >= 0) & (at <= self._now + FUTURE_SECONDS)
        line = plain + self._done.line + 1
        columns = Columns(line, texts["user"], texts["activity"], score, maximum, at, texts["id"])
        return columns.only(good), plain[~good]


def _texts(table: Table, names: list[str]) -> tuple[dict[str, list[str]], Flags]:
    """User, activity and id of each line, and whether all three can be taken."""
    places: dict[str, int] = {name: names.index(name) for name in ("user", "activity", "id") if name in names}
    good = np.ones(table.rows, np.bool_)
    for name, place in places.items():
        # Characters are at most as many as bytes.
        good &= (table.lengths[:, place] <= TEXT_LIMIT) & ((table.lengths[:, place] > 0) | (name == "id"))
    if "id" in places and not table.lengths[:, places["id"]].any():
        del places["id"]
    texts = table.texts(places)
    if table.padded:
        for name, place in places.items():
            # A field of nothing but blanks is no missing one.
            good &= np.array([bool(text) for text in texts[name]], np.bool_) | (table.lengths[:, place] == 0)
    texts.setdefault("id", [""] * table.rows)
    return texts, good
