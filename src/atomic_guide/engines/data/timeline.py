"""Which log follows the database files of a folder, if any does.

A timeline is one unbroken life of the files. The note of it lies beside them: a restore that puts other files into
their place takes it away with the old ones, and the log goes on with a new timeline.
"""

from __future__ import annotations

from pathlib import Path

NOTE = "timeline"

_PAGES, _PAGES_LOGGED = 1_000, 50_000
"""Pages of WAL after which a writer writes them back into the file: SQLite's own number, 4 MB; and where something else
does that, a number that is reached (200 MB) only while it stands still. A writer that goes ahead of a log makes it
copy the whole file: at 28,000 rows a second in one file it did so eleven times in ten seconds, and never since.
"""


def current(folder: Path) -> str | None:
    """The timeline of the files in a folder; None where no log follows them."""
    try:
        return (folder / NOTE).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def is_logged(path: Path) -> bool:
    """Whether a log follows a database file, and brings its WAL back into it."""
    return path.with_name(NOTE).exists()


def checkpoint_pages(path: Path) -> int:
    """After how many pages of WAL a connection to a file is to write them back."""
    return _PAGES_LOGGED if is_logged(path) else _PAGES
