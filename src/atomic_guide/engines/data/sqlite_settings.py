"""How the embedded databases behave."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class SqliteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the embedded databases behave."""

    busy_timeout: Annotated[
        float,
        setting("How long a write waits for another process that holds the file.", "s", ge=0.1, le=60),
    ] = 5.0
    scan_timeout: Annotated[
        float,
        setting("When a long read is broken off; a report over a year takes well under this.", "s", ge=0.1, le=600),
    ] = 30.0
    size_limit: Annotated[
        int,
        setting(
            "Most bytes of one file; what does not fit is refused with 507. 0: as much as the disk has.", "bytes", ge=0
        ),
    ] = 0
    group_limit: Annotated[
        int,
        setting("Most works in one commit; bounds how long the first of them waits.", "works", ge=1, le=10_000),
    ] = 512
    pending_limit: Annotated[
        int,
        setting("Most works that may wait; the next is refused with 503.", "works", ge=1, le=1_000_000),
    ] = 20_000
