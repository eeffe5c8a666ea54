"""How much is remembered, where, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atomic_guide.setting import setting


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The memory of each process, and what processes share on NATS."""

    memory_bytes: Annotated[
        int, setting("Most that a process remembers; what was read once leaves first.", "bytes", ge=1 << 16)
    ] = 64 << 20
    memory_seconds: Annotated[float, setting("How long a process remembers a value.", "s", ge=1, le=86_400)] = 300.0
    shared: Annotated[
        Literal["auto", "on", "off"],
        setting(
            "Keep values on NATS for all processes. auto: where the databases are servers; a read of an SQLite file is"
            " quicker than one of NATS.",
            "mode",
        ),
    ] = "auto"
    shared_seconds: Annotated[float, setting("How long a value is kept on NATS.", "s", ge=1, le=86_400)] = 3600.0
    shared_bytes: Annotated[int, setting("Most that is kept on NATS; the oldest leave first.", "bytes", ge=1 << 20)] = (
        32 << 20
    )
    negative_seconds: Annotated[
        float, setting("How long it is remembered that something does not exist.", "s", ge=0, le=3600)
    ] = 30.0
    cut_seconds: Annotated[
        float,
        setting(
            "How old a value may be while NATS is away, when nobody can say that it has changed.", "s", ge=0, le=300
        ),
    ] = 5.0
    load_seconds: Annotated[float, setting("How long loading a value may take.", "s", ge=0.1, le=300)] = 10.0
