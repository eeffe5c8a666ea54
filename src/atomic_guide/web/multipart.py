"""multipart/form-data with one file, read as a stream: what the parser has found so far, piece by piece.

Nothing is held whole but the short text fields. Parts, header lines and text sizes are bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from atomic_guide import errors

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 8
FIELD_BYTES = 4096


class FormStream:
    """Feed it chunks; it yields the bytes of the part `file`, and keeps the text of the others in `fields`."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise errors.UnsupportedMedia("send multipart/form-data with the parts title and file, or use tus 1.0")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.ended = False
        self._parts = 0
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._disposition = b""
        self._name = ""
        self._text = b""
        self._out: list[bytes] = []
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.append(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except ValueError as error:
            raise errors.Invalid("the boundary of the form is malformed") from error

    async def file(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The file's bytes as they arrive. Raises `Invalid` for a broken form."""
        async for chunk in body:
            try:
                self._parser.write(chunk)
            except (MultipartParseError, UnicodeDecodeError) as error:
                raise errors.Invalid("the form is malformed") from error
            if self._out:
                parts, self._out = self._out, []
                yield b"".join(parts)
        if not self.ended:
            raise errors.Invalid("the form ended in the middle of a part")
        if self.filename is None:
            raise errors.Invalid("the form has no part named file with a file name", details={"field": "file"})

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise errors.Invalid(f"the form has more than {MOST_PARTS} parts")
        self._disposition, self._text, self._name = b"", b"", ""

    def _end_header(self) -> None:
        if b"".join(self._header).lower() == b"content-disposition":
            self._disposition = b"".join(self._value)
        self._header, self._value = [], []

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8")
        if self._name == "file":
            if self.filename is not None:
                raise errors.Invalid("send one file at a time", details={"field": "file"})
            self.filename = options.get(b"filename", b"").decode("utf-8")
        elif not self._name:
            raise errors.Invalid("a part of the form has no name")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._out.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > FIELD_BYTES:
            raise errors.Invalid(
                f"the part {self._name[:40]} is over {FIELD_BYTES} bytes", details={"field": self._name[:40]}
            )

    def _end(self) -> None:
        if self._name != "file":
            self.fields[self._name] = self._text.decode("utf-8")

    def _finish(self) -> None:
        self.ended = True
