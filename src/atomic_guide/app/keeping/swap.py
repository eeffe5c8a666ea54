"""Putting a prepared folder into the place of a data directory's contents, in steps that a crash may interrupt.

The prepared contents lie in `DATA/.restoring`, complete and on disk. A marker file is written; then each part is
moved aside and its successor moved in, by renames within one file system; then the marker goes. While the marker is
there nothing opens the databases, and `finish` can be called any number of times.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from atomic_guide.durable import sync
from atomic_guide.engines.data.embedded import INTERRUPTED as MARKER

STAGE = ".restoring"
PARTS = ("databases", "objects", "uploads", "work", "operator-token", "erasures.ledger")


class Swap(msgspec.Struct, frozen=True):
    """What is under way: the backup's id, and the folder in the data directory where the old parts go."""

    backup: str
    aside: str


def pending(data: Path) -> Swap | None:
    """The swap that was begun and not finished."""
    try:
        return msgspec.json.decode((data / MARKER).read_bytes(), type=Swap)
    except FileNotFoundError:
        return None


def begin(data: Path, swap: Swap) -> None:
    """Write the marker: from here on only `finish` leads on. The stage must be complete and on disk."""
    beside = data / f".{MARKER}"
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(swap))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(data / MARKER)
    sync(data)


def finish(data: Path, swap: Swap) -> None:
    """Move every part that is not yet moved, then remove the marker."""
    stage, aside = data / STAGE, data / swap.aside
    aside.mkdir(exist_ok=True, mode=0o700)
    for part in PARTS:
        # A part that was moved aside already is not moved again: what stands in its place is the new one.
        if (data / part).exists() and not (aside / part).exists() and not _moved_in(stage, part):
            (data / part).rename(aside / part)
        if (stage / part).exists():
            (stage / part).rename(data / part)
    for folder in (stage, aside, data):
        sync(folder)
    (data / MARKER).unlink()
    sync(data)
    shutil.rmtree(stage)
    if not any(aside.iterdir()):
        aside.rmdir()


def note_parts(stage: Path) -> None:
    """Write down which parts the stage has, so that one that is gone is known to have been moved."""
    (stage / "parts").write_text("\n".join(part for part in PARTS if (stage / part).exists()), encoding="utf-8")
    sync(stage / "parts")


def _moved_in(stage: Path, part: str) -> bool:
    listed = (stage / "parts").read_text(encoding="utf-8").split("\n")
    return part in listed and not (stage / part).exists()
