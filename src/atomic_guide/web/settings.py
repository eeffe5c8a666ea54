"""Where the server listens, and how long codes, tokens and answers live.

Apart from what they set, so that reading the settings loads no web server.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atomic_guide.setting import setting


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server listens and how the world reaches it."""

    host: Annotated[
        str,
        setting("Address to listen on; only this computer by default.", "address", min_length=1),
    ] = "127.0.0.1"
    port: Annotated[int, setting("Port to listen on; 0 takes a free one.", "port", ge=0, le=65535)] = 8000
    public_url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#]+$")] | None,
        setting(
            "The address that browsers and the LMS use, such as https://guide.example.edu."
            " Without it: the listening one.",
            "URL",
        ),
    ] = None
    development: Annotated[
        Literal["auto", "on", "off"],
        setting(
            "Practice LMS, loopback key sets, plain http."
            " auto: on when listening on loopback without a public address.",
            "mode",
        ),
    ] = "auto"
    trusted_proxies: Annotated[
        tuple[str, ...],
        setting("Addresses or networks whose X-Forwarded-* headers count; nobody's by default.", "addresses"),
    ] = ()
    tls_certificate: Annotated[
        str | None,
        setting("PEM file of the certificate chain, to serve https without a proxy.", "path"),
    ] = None
    tls_key: Annotated[str | None, setting("PEM file of the certificate's key.", "path")] = None
    metrics_public: Annotated[
        bool,
        setting("Give /metrics to everybody; else to this computer and to holders of the operator token.", "switch"),
    ] = False
    requests: Annotated[
        int,
        setting(
            "Requests that a process answers at a time; the next is told to come again in a second. A hall of 1,000"
            " that opens its page makes 3,000.",
            "requests",
            ge=1,
            le=100_000,
        ),
    ] = 4000
    handshakes: Annotated[
        int,
        setting(
            "Sockets that a process opens at a time, about 10 kB each: a room twice over that comes back at the same"
            " moment.",
            "handshakes",
            ge=1,
            le=100_000,
        ),
    ] = 2000
    head_bytes: Annotated[
        int,
        setting(
            "An address with its header lines. Eight cookies and a token take 3 KiB; proxies commonly allow 8 to 32.",
            "bytes",
            ge=8192,
            le=1 << 20,
        ),
    ] = 64 * 1024
    body_bytes: Annotated[
        int,
        setting(
            "A JSON body, unless its call has a limit of its own; a chat message is at most 16 KiB of UTF-8.",
            "bytes",
            ge=32 * 1024,
            le=16 << 20,
        ),
    ] = 64 * 1024
    drain_seconds: Annotated[
        float,
        setting("How long running requests may take to finish after SIGTERM.", "s", ge=1, le=15),
    ] = 10.0


class SessionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long codes and tokens live."""

    code_seconds: Annotated[
        int,
        setting("Life of the one-time code in a launched page.", "s", ge=5, le=600),
    ] = 60
    token_seconds: Annotated[
        int,
        setting("Life of a bearer token; it cannot be taken back sooner.", "s", ge=60, le=3600),
    ] = 900
    ticket_seconds: Annotated[int, setting("Life of a socket ticket.", "s", ge=5, le=300)] = 30
    session_seconds: Annotated[
        int,
        setting("When a session ends for good and the LMS has to launch again; a long day.", "s", ge=900, le=7 * 86400),
    ] = 12 * 3600
    key_seconds: Annotated[
        int,
        setting("How often a new signing key is made.", "s", ge=3600, le=90 * 86400),
    ] = 86400


class RepeatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered of a POST with an Idempotency-Key."""

    kept_hours: Annotated[
        float,
        setting(
            "How long an answer is given again. A page that was closed in the evening tries again in the morning.",
            "h",
            ge=1,
            le=24 * 7,
        ),
    ] = 24.0
    claim_seconds: Annotated[
        float,
        setting(
            "How long a key stays claimed after its process was heard of last; after a crash, a retry waits this long."
            " Four renewals: a database that is away for three quarters of it ends no claim.",
            "s",
            ge=1,
            le=600,
        ),
    ] = 60.0
