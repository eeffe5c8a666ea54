"""Files of scores as they are imported: read piece by piece, from the beginning or from a mark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from atomic_guide import errors
from atomic_guide.course.analytics.columns import Mark, Read
from atomic_guide.course.analytics.forms import LINE_LIMIT, MARK
from atomic_guide.course.analytics.parquet import Parquet
from atomic_guide.course.analytics.readers import TextForm, reader

FileForm = Literal["csv", "ndjson", "parquet"]

PIECE = 512 * 1024
"""Bytes of text that are read at once: some 10,000 rows, one commit of a tenth of a second."""

_ENDINGS: dict[str, FileForm] = {
    ".csv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class Chunk(NamedTuple):
    """Rows of a file, and the mark at which the rest begins."""

    read: Read
    mark: Mark


class Source(Protocol):
    """A file that is being read. Its methods block."""

    size: int
    """The mark's offset at the end."""

    def next(self) -> Chunk | None:
        """The next rows, None at the end. Raises `Invalid` where the whole cannot be read."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def form_of(path: Path) -> FileForm:
    """The form that a file's name tells. Raises `Invalid` where it tells none."""
    form = _ENDINGS.get(path.suffix.lower())
    if form is None:
        raise errors.Invalid(f"the name {path.name} tells no form; say --format csv, ndjson or parquet")
    return form


def open_source(path: Path, form: FileForm, now: float, mark: Mark) -> Source:
    """Open a file at a mark. Raises `Invalid` where it cannot be used."""
    return _ParquetSource(path, now, mark) if form == "parquet" else _TextSource(path, form, now, mark)


class _TextSource:
    def __init__(self, path: Path, form: TextForm, now: float, mark: Mark) -> None:
        self._reader = reader(form, now)
        self._file = path.open("rb")
        self.size = path.stat().st_size
        self._ended = False
        if mark != Mark():
            self._reader.resume(self._file.read(len(MARK) + LINE_LIMIT + len(b"\r\n")), mark)
            self._file.seek(mark.offset)

    def next(self) -> Chunk | None:
        if self._ended:
            return None
        piece = self._file.read(PIECE)
        self._ended = not piece
        read = self._reader.feed(piece) if piece else self._reader.finish()
        return Chunk(read, self._reader.mark)

    def close(self) -> None:
        self._file.close()


class _ParquetSource:
    def __init__(self, path: Path, now: float, mark: Mark) -> None:
        self._file = Parquet(path, now, mark)
        self.size = self._file.size

    def next(self) -> Chunk | None:
        read = self._file.next()
        return None if read is None else Chunk(read, self._file.mark)

    def close(self) -> None:
        self._file.close()
