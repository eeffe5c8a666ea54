"""Encryption on the way to a server: always where it leaves this machine, unless a setting says otherwise."""

from __future__ import annotations

import ssl
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from atomic_guide import errors
from atomic_guide.engines.data.settings import PostgresSettings

TlsMode: TypeAlias = Literal["disable", "require", "verify-full"]


def tls_of(address: str, settings: PostgresSettings) -> ssl.SSLContext | TlsMode | None:
    """What asyncpg is told of TLS; None where the address says it itself. Raises `ConfigurationError` for a bad CA."""
    parts = urlsplit(address)
    if "sslmode" in parse_qs(parts.query):
        return None
    hosts = [host.rpartition("@")[2].rpartition(":")[0] or host for host in parts.netloc.split(",")]
    local = all(host.rpartition("@")[2].strip("[]") in {"", "localhost", "127.0.0.1", "::1"} for host in hosts)
    mode: TlsMode = settings.tls if settings.tls != "auto" else ("disable" if local else "verify-full")
    if mode == "verify-full":
        try:
            return ssl.create_default_context(cafile=settings.tls_ca)
        except OSError as error:
            raise errors.ConfigurationError(
                f"setting databases.postgresql.tls_ca: {settings.tls_ca} cannot be read ({error.strerror or error})"
            ) from error
    return mode
