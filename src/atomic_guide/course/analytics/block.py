"""Whole lines of a CSV as an array of bytes: which of them are plain, and where the fields of those stand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from atomic_guide.course.analytics.digits import WIDEST, Bytes
from atomic_guide.course.analytics.figures import Flags, Whole
from atomic_guide.course.analytics.forms import LINE_LIMIT

_END = ord("\n")
_RETURN = ord("\r")
_QUOTE = ord('"')
_BLANK = ord(" ")
_DELETE = 0x7F
_PLAIN = bytes(range(_BLANK, _DELETE)).replace(b'"', b"") + b"\n"

_NO_BREAK = b"\xc2\xa0"
"""The last of the characters of two bytes that cannot stand in a text or at its ends: U+0080 to U+00A0."""
_SPACES = np.array([int.from_bytes(chr(code).encode()) for code in range(0xA1, 0x3001) if chr(code).isspace()])
"""White space of three bytes, each as one number; there is none beyond U+3000."""

_PADDING = 4
"""Blanks on each side of a field that are passed over here; more are left to the reader of single lines."""


class Block:
    """Whole lines. `ends` are the places of their ends, `odd` says which of them are not plain."""

    def __init__(self, data: bytes, delimiter: str, fields: int) -> None:
        self._data = data
        self._delimiter = delimiter
        self._fields = fields
        self._padded = np.frombuffer(data + bytes(WIDEST), np.uint8)
        self._bytes = self._padded[: len(data)]
        is_end = self._bytes == _END
        self._is_cut = is_end | (self._bytes == ord(delimiter))
        self._cuts = np.flatnonzero(self._is_cut)
        self.ends: Whole = np.flatnonzero(is_end)
        self._strange = data.translate(None, _PLAIN)
        self.odd: Flags = self._odd()

    def start(self, place: int) -> int:
        """Where a line begins."""
        return int(self.ends[place - 1]) + 1 if place else 0

    def line(self, place: int) -> bytes:
        """A line without its end."""
        return self._data[self.start(place) : int(self.ends[place])]

    def table(self) -> Table:
        """The fields of the plain lines."""
        if not self.odd.any() and b'"' not in self._strange:
            return Table(self._padded, self._cuts.reshape(-1, self._fields), self._delimiter)
        keep = np.repeat(~self.odd, np.diff(self.ends, prepend=-1)) & (self._bytes != _QUOTE)
        buffer = np.concatenate([self._bytes[keep], np.zeros(WIDEST, np.uint8)])
        # What ends a field stays one: a plain line has no delimiter inside its quotes.
        cuts = np.flatnonzero(self._is_cut[keep])
        return Table(buffer, cuts.reshape(-1, self._fields), self._delimiter)

    def _odd(self) -> Flags:
        odd = np.diff(self.ends, prepend=-1) > LINE_LIMIT
        whole = self._cuts[self._fields - 1 :: self._fields]
        if len(self._cuts) != len(self.ends) * self._fields or (whole != self.ends).any():
            odd |= np.diff(np.searchsorted(self._cuts, self.ends), prepend=-1) != self._fields
        if self._strange:
            odd[self._line_of(self._controls())] = True
            if not self._strange.isascii():
                odd[self._undecodable()] = True
                odd[self._line_of(self._spaces())] = True
            if b'"' in self._strange:
                self._mark_quoted(odd)
        return odd

    def _line_of(self, places: Whole) -> Whole:
        return np.asarray(np.searchsorted(self.ends, places), np.int64)

    def _controls(self) -> Whole:
        """Control characters but the ends of lines."""
        places = np.flatnonzero(((self._bytes < _BLANK) & (self._bytes != _END)) | (self._bytes == _DELETE))
        return np.asarray(places[(self._bytes[places] != _RETURN) | (self._padded[places + 1] != _END)])

    def _undecodable(self) -> list[int]:
        """Lines that are no UTF-8."""
        try:
            self._data.decode()
        except UnicodeDecodeError:
            high = np.unique(self._line_of(np.flatnonzero(self._bytes > _DELETE))).tolist()
            return [place for place in high if not _is_utf8(self.line(place))]
        return []

    def _spaces(self) -> Whole:
        """Control characters and white space beyond ASCII."""
        places: Whole = np.flatnonzero(self._bytes >= _NO_BREAK[0])
        first, second = self._bytes[places], self._padded[places + 1]
        found = (first == _NO_BREAK[0]) & (second <= _NO_BREAK[1])
        wide = np.flatnonzero(np.isin(first, _SPACES >> 16))
        three = self._padded[places[wide, np.newaxis] + np.arange(3)] @ np.array([1 << 16, 1 << 8, 1])
        found[wide] |= np.isin(three, _SPACES)
        return np.asarray(places[found])

    def _mark_quoted(self, odd: Flags) -> None:
        """Mark the lines whose quotes do more than enclose whole fields."""
        quotes = np.flatnonzero(self._bytes == _QUOTE)
        lines = self._line_of(quotes)
        odd |= np.bincount(lines, minlength=len(odd)) % 2 == 1
        quotes = quotes[~odd[lines]]
        opening, closing = quotes[::2], quotes[1::2]
        # Before the first byte stands the last, which ends a line.
        loose = ~self._is_cut[opening - 1]
        loose |= ~self._is_cut[closing + 1] & (self._bytes[closing + 1] != _RETURN)
        loose |= np.searchsorted(self._cuts, opening) != np.searchsorted(self._cuts, closing)
        odd[self._line_of(opening[loose])] = True


class Table:
    """The fields of plain lines: `lengths` in bytes, a row for each line, a column for each of the header's."""

    def __init__(self, buffer: Bytes, cuts: Whole, delimiter: str) -> None:
        self._buffer = buffer
        self._delimiter = delimiter
        self._spans = np.diff(cuts.ravel(), prepend=-1)
        self._starts = cuts - self._spans.reshape(cuts.shape) + 1
        self.lengths: Whole = cuts - self._starts
        self.rows = len(cuts)
        self._size = int(cuts[-1, -1]) + 1
        self._returns = bool((buffer[cuts[:, -1] - 1] == _RETURN).any())
        if self._returns:
            self.lengths[:, -1] -= buffer[cuts[:, -1] - 1] == _RETURN

    @cached_property
    def padded(self) -> bool:
        """Whether a field begins or ends with a blank."""
        blanks = np.flatnonzero(self._buffer[: self._size] == _BLANK)
        beside = np.array([ord(self._delimiter), _END, _RETURN], np.uint8)
        return bool(
            np.isin(self._buffer[blanks + 1], beside).any() or np.isin(self._buffer[blanks - 1], beside).any()
        ) or bool(self._size and self._buffer[0] == _BLANK)

    def field(self, place: int) -> tuple[Bytes, Whole, Whole]:
        """A column as `digits` takes it: the buffer, starts and lengths, without blanks around a field."""
        starts, lengths = self._starts[:, place], self.lengths[:, place]
        if self.padded:
            for _ in range(_PADDING):
                before = (lengths > 0) & (self._buffer[starts] == _BLANK)
                starts, lengths = starts + before, lengths - before
                lengths = lengths - ((lengths > 0) & (self._buffer[starts + lengths - 1] == _BLANK))
        return self._buffer, starts, lengths

    def texts(self, places: Mapping[str, int]) -> dict[str, list[str]]:
        """The columns at these places as text, without white space around a field."""
        wanted = np.zeros(self.lengths.shape, np.bool_)
        wanted[:, list(places.values())] = True
        keep = np.repeat(wanted.ravel(), self._spans)
        if self._returns:
            keep &= self._buffer[: self._size] != _RETURN
        text = self._buffer[: self._size][keep].tobytes().decode()
        flat = text.replace("\n", self._delimiter).split(self._delimiter)
        ordered = sorted(places, key=places.__getitem__)
        columns = {name: flat[place : -1 : len(ordered)] for place, name in enumerate(ordered)}
        if self.padded:
            columns = {name: list(map(str.strip, column)) for name, column in columns.items()}
        return columns


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
