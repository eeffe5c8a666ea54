"""The marks of a log: moments at which all databases were copied, and which moments can be gone back to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.durable import sync
from atomic_guide.errors import Invalid, NotFound

_FOLDER = "marks"
HOLE_SECONDS = 30.0
"""From one mark to the next; where more lies between them, the log stood still (an idle one is marked every 10 s)."""


class Mark(msgspec.Struct, frozen=True):
    """What was acknowledged before `at` is in it, nothing that was begun after `until` (seconds since the epoch).

    `positions` are the transactions of Litestream, by the name of the database.
    """

    at: float
    until: float
    positions: dict[str, int]


class Span(NamedTuple):
    """Marks without a hole between them."""

    timeline: Path
    first: Mark
    last: Mark

    @property
    def text(self) -> str:
        """From when until when."""
        return f"from {iso(self.first.until)} to {iso(self.last.until)}"


class Point(NamedTuple):
    """A mark to go back to, and the folder of its timeline."""

    timeline: Path
    mark: Mark


def append_mark(timeline: Path, mark: Mark) -> None:
    """Add a mark; it is on disk when this returns."""
    folder = timeline / _FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{datetime.fromtimestamp(mark.at, UTC):%Y-%m-%dT%H}"
    new = not path.exists()
    with path.open("ab") as file:
        # What a crash left half written is passed over, and must not swallow this one.
        file.write(b"\n" * (not new and not _ends_a_line(path)) + msgspec.json.encode(mark) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync(folder)


def spans(log: Path) -> list[Span]:
    """Everything that can be gone back to, the oldest first."""
    found: list[Span] = []
    for timeline in _timelines(log):
        begun: Mark | None = None
        last: Mark | None = None
        for mark in _marks(timeline):
            if begun is None or last is None or mark.at - last.until > HOLE_SECONDS:
                if begun is not None and last is not None:
                    found.append(Span(timeline, begun, last))
                begun = mark
            last = mark
        if begun is not None and last is not None:
            found.append(Span(timeline, begun, last))
    return sorted(found, key=lambda span: span.first.until)


def find(log: Path, moment: float | None) -> Point:
    """The newest mark that ended at or before a moment, or the newest of all.

    Raises `NotFound` saying what can be gone back to, where that moment cannot.
    """
    known = spans(log)
    if not known:
        raise NotFound(f"there is no log in {log}; `backups.log.enabled` has a server keep one")
    if moment is None:
        newest = max(known, key=lambda span: span.last.until)
        return Point(newest.timeline, newest.last)
    for span in reversed(known):
        if span.first.until <= moment <= span.last.until:
            marks = (mark for mark in _marks(span.timeline) if span.first.until <= mark.until <= moment)
            return Point(span.timeline, max(marks, key=lambda mark: mark.until))
    reached = ", and ".join(span.text for span in known)
    why = "the log has a hole there" if known[0].first.until < moment < known[-1].last.until else "the log ends before"
    if moment < known[0].first.until:
        why = "the log begins later"
    raise NotFound(f"{iso(moment)} cannot be gone back to: {why}; it reaches {reached}")


def prune(log: Path, current: str | None, before: float) -> list[str]:
    """Remove the marks from before a time, and whole timelines but the `current` one; the names of those."""
    gone = []
    for timeline in _timelines(log):
        hours = sorted((timeline / _FOLDER).glob("*"))
        for path in hours:
            if datetime.strptime(f"{path.name}Z", "%Y-%m-%dT%H%z").timestamp() < before - 3600:
                path.unlink(missing_ok=True)
        if timeline.name != current and not any((timeline / _FOLDER).glob("*")):
            shutil.rmtree(timeline)
            gone.append(timeline.name)
    return gone


def _timelines(log: Path) -> list[Path]:
    return sorted(path.parent for path in log.glob(f"*/{_FOLDER}"))


def _marks(timeline: Path) -> Iterator[Mark]:
    decoder = msgspec.json.Decoder(Mark)
    for path in sorted((timeline / _FOLDER).glob("*")):
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            try:
                if line:
                    yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                # Half a line is what a crash leaves, and it can be any line: the log goes on after it.
                if not line.startswith(b'{"at":'):
                    raise Invalid(f"line {number} of {path} is no mark ({error}); the log was changed") from error


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
