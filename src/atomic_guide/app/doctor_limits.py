"""What `atomic-guide doctor` says of limits: of a server that runs, how full each is; else only what they are.

It reads what processes have reported in the directory, as `atomic-guide limits` does. No server is asked: whatever
listens where the settings say is perhaps not ours, and the operators' token is for nobody else.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.app.limits import LIMITS, values_of
from atomic_guide.app.supervisor import holder
from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import GuideError
from atomic_guide.operations.limits import pages
from atomic_guide.operations.limits.telling import Shown, shown
from atomic_guide.operations.scaling.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.config import Settings
    from atomic_guide.engines.data.postgres import PostgresDatabase
    from atomic_guide.operations.scaling.reports import Report


async def read_limits(settings: Settings) -> list[Shown]:
    """Every limit; without what is used where no process has reported lately, or the directory cannot be read."""
    return shown(LIMITS, values_of(settings), await read_reports(settings))


async def read_reports(settings: Settings) -> Sequence[Report]:
    """What processes have reported lately; nothing where the directory cannot be read."""
    reports: Sequence[Report] = ()
    with contextlib.suppress(GuideError, OSError, msgspec.MsgspecError):
        if (directory := _opened(settings)) is not None:
            try:
                reports = await Reports(directory).standing(time.time())
            finally:
                await directory.close()
    return reports


def _opened(settings: Settings) -> SqliteDatabase | PostgresDatabase | None:
    """The directory as it is, brought up to no other schema; None where it is a file and no server uses it."""
    data = settings.databases
    if not is_embedded(data):
        from atomic_guide.engines.data.postgres import PostgresDatabase  # noqa: PLC0415 - the driver takes 60 ms

        return PostgresDatabase("directory", data.directory or "", data.postgresql)
    main, _ = database_files(Path(settings.data), data)
    return SqliteDatabase(main, data.sqlite) if main.exists() and holder(Path(settings.data)) else None


def said(row: Shown) -> tuple[str, str]:
    """A limit in words, and what to do where it is nearly reached; empty where it is not."""
    text = f"{pages.standing(row)}; {row.setting or 'fixed'}"
    if not row.near:
        return text, ""
    if row.setting:
        return text, f"raise {row.setting}, or see what uses it (docs/limits.md)"
    return text, "see what uses it (docs/limits.md)"


def summed_up(rows: Sequence[Shown]) -> str:
    """All limits in one line."""
    known = [row for row in rows if row.usage is not None]
    if not known:
        return f"{len(rows)} in all; no process has told how full they are"
    near = sum(row.near for row in rows)
    refused = sum(row.refused > 0 for row in rows)
    levels = [row for row in known if row.about == "level"] or known
    fullest = max(levels, key=lambda row: row.usage or 0.0)
    return (
        f"{len(rows)} in all, {near} nearly reached, {refused} have refused something; the fullest is {fullest.name}"
        f" at {fullest.usage:.0%}"
    )
