"""Puts a tool together: which engines, which parts, in which order they start and stop."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.performance import Performance
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import ConfigurationError
from atomic_guide.web.health import Health
from atomic_guide.web.sessions import Sessions
from atomic_guide.web.tool import Tool


class Address(msgspec.Struct, frozen=True):
    """Where the server listens and what the world calls it."""

    host: str
    port: int
    public_url: str
    development: bool


def address(settings: Settings, port: int) -> Address:
    """Decide the public address and whether this is a development server.

    Raises `ConfigurationError` where development is asked for off loopback: its practice LMS lets anybody in.
    """
    server = settings.server
    loopback = is_loopback(server.host)
    if server.development == "on" and not loopback:
        raise ConfigurationError(
            f"setting server.development is on, but {server.host} is not a loopback address:"
            " the practice LMS would let anybody in; listen on 127.0.0.1 or switch it off"
        )
    development = server.development == "on" or (server.development == "auto" and loopback and not server.public_url)
    scheme = "https" if server.tls_certificate else "http"
    shown = f"[{server.host}]" if ":" in server.host else server.host
    return Address(server.host, port, server.public_url or f"{scheme}://{shown}:{port}", development)


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a listener on `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def built_tool(settings: Settings, where: Address) -> AsyncIterator[Tool]:
    """A tool with its engines open; they are closed in reverse order."""
    data = Path(settings.data)
    clock = SystemClock()
    shards = await open_embedded(data, settings.databases)
    try:
        yield assemble(settings, where, shards, clock)
    finally:
        await shards.close()


def assemble(settings: Settings, where: Address, shards: Shards, clock: SystemClock) -> Tool:
    """The parts over open engines."""
    del where
    token = settings.operator_token or operator_token(Path(settings.data))
    return Tool(
        clock=clock,
        shards=shards,
        sessions=Sessions(shards.directory, clock, settings.sessions, token),
        scores=Scores(shards, clock, settings.analytics),
        performance=Performance(shards, clock, settings.analytics),
        health=Health(shards, new_registry(), clock, metrics_public=settings.server.metrics_public),
    )


def new_registry() -> CollectorRegistry:
    """A registry with what Prometheus expects of every process; all parts add their metrics to it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def operator_token(data: Path) -> str:
    """The operators' token of a data directory, made at first start in a file that only its owner may read."""
    path = data / "operator-token"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return token
