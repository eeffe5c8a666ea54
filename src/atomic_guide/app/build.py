"""Puts a tool together: which engines, which parts, in which order they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from atomic_guide.app.asset_metrics import AssetMetrics
from atomic_guide.app.cache_metrics import CacheMetrics
from atomic_guide.app.caching import made_cache
from atomic_guide.app.copies import made_spread
from atomic_guide.app.dependencies import DependencyMetrics, known
from atomic_guide.app.desks import made_desks
from atomic_guide.app.keeping import log
from atomic_guide.app.keeping.assembly import assembled, catch_up
from atomic_guide.app.limit_metrics import LimitMetrics
from atomic_guide.app.limits import made_register, measure_parts
from atomic_guide.app.operators import made_operators
from atomic_guide.app.region import addresses_of, made_here
from atomic_guide.app.region_metrics import RegionMetrics
from atomic_guide.app.replica_metrics import ReplicaMetrics
from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.performance import Performance
from atomic_guide.course.keeping.key import keeping_key
from atomic_guide.course.keeping.reads import Reads
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.course.lti.assembly import Lti, build_lti
from atomic_guide.course.lti.practice.platform import close_practice, open_practice
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.course.notifications.assembly import build_notifications
from atomic_guide.course.notifications.feed import Tell
from atomic_guide.course.video.announce import Announce
from atomic_guide.course.video.assembly import build_media, media_key
from atomic_guide.course.video.spread.parts import Engines as Stands
from atomic_guide.course.video.videos import Parts
from atomic_guide.course.watching.lectures import Lectures
from atomic_guide.course.watching.taking import Events
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.sign import Signer
from atomic_guide.engines.assets.store import Store
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.data.opening import is_embedded, open_databases
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.replica import Replica
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.wal.writer import WalWriter
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.wakes import join_wakes
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.errors import ConfigurationError, Unavailable
from atomic_guide.regions.here import Here
from atomic_guide.web.chat import assemble_chat
from atomic_guide.web.forgotten import Forgotten
from atomic_guide.web.health import Check, Health
from atomic_guide.web.idempotency import Answers
from atomic_guide.web.limits import is_loopback, networks
from atomic_guide.web.loadtests import Erase, Loadtests
from atomic_guide.web.overload import Overload
from atomic_guide.web.room_metrics import RoomMetrics
from atomic_guide.web.sessions import Sessions
from atomic_guide.web.settings import ServerSettings
from atomic_guide.web.tool import Tool

_log = structlog.get_logger(__name__)


class Address(msgspec.Struct, frozen=True):
    """Where the server listens and what the world calls it."""

    host: str
    port: int
    listening: str
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
    listening = f"{scheme}://{shown}:{port}"
    return Address(server.host, port, listening, server.public_url or listening, development)


def check_server(server: ServerSettings) -> None:
    """Raise `ConfigurationError` for settings of a server that cannot work, naming them."""
    try:
        networks(server.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError(f"setting server.trusted_proxies: {error}") from error
    if (server.tls_certificate is None) != (server.tls_key is None):
        raise ConfigurationError("settings server.tls_certificate and server.tls_key: set both, or none")
    if server.tls_certificate:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(server.tls_certificate, server.tls_key)
        except OSError as error:
            raise ConfigurationError(
                f"settings server.tls_certificate and server.tls_key: {server.tls_certificate} and {server.tls_key}"
                f" cannot be used ({error.strerror or error})"
            ) from error


class Built(NamedTuple):
    """A tool and what keeps it running; `nats` is None where another server is used, `wal` where no log is kept."""

    tool: Tool
    connection: Connection
    nats: NatsServer | None
    wal: WalWriter | None


@asynccontextmanager
async def built_tool(settings: Settings, where: Address, *, supervisor: bool) -> AsyncIterator[Built]:
    """A tool over its engines; they are closed in reverse order. Only a supervisor starts servers and cleans up."""
    data = Path(settings.data)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        timeline = await asyncio.to_thread(log.prepare, settings) if supervisor else None
        shards = await open_databases(data, settings.databases)
        stack.push_async_callback(shards.close)
        if supervisor and (repeated := await catch_up(settings, shards)):
            _log.warning("the databases were older than the ledger; erasures were repeated", erasures=repeated)
        # Ends right before the databases are closed, when nobody writes any more.
        wal = await _started_log(settings, timeline, shards, stack) if timeline else None
        nats = await _started_nats(data, settings, stack) if supervisor and not settings.nats.url else None
        connection = Connection(data, settings.nats)
        await connection.open()
        stack.push_async_callback(connection.close)
        cache = await made_cache(shards.directory, settings, clock, connection)
        stack.push_async_callback(cache.close)
        tool = await _assembled(settings, where, Engines(data, shards, connection, cache), clock)
        measure_parts(tool, connection)
        tool.dependencies = known(tool, connection, settings)
        tool.health.registry.register(DependencyMetrics(tool.dependencies))
        stack.push_async_callback(tool.simulator.close)
        stack.push_async_callback(tool.lti.close)
        stack.push_async_callback(tool.operators.close)
        stack.push_async_callback(tool.chat.close)
        stack.push_async_callback(tool.reads.close)
        stack.push_async_callback(tool.notifications.mail.close)
        stack.push_async_callback(tool.placement.close)
        if where.development:
            tool.practice = await open_practice(tool.lti, shards.directory, where.host, where.port)
        else:
            await close_practice(tool.lti.platforms)
        await join_wakes(tool.media.queues, connection)
        await tool.chat.limits.join(tool.chat.rooms.bus)
        if supervisor:
            await tool.media.recover(alone=is_embedded(settings.databases))
        if wal is not None:
            tool.health.checks["log"] = Check(wal.probe, needed=False)
        yield Built(tool, connection, nats, wal)


class Engines(NamedTuple):
    """What the parts stand on."""

    data: Path
    shards: Shards
    connection: Connection
    cache: Cache


async def _started_nats(data: Path, settings: Settings, stack: AsyncExitStack) -> NatsServer:
    server = NatsServer(data, settings.nats)
    stack.push_async_callback(server.stop)
    try:
        await server.start()
    except Unavailable as error:
        # One process needs no NATS, and `keep` goes on trying.
        _log.warning("nats-server does not start; rooms work within this process", error=error.message)
    return server


async def _started_log(settings: Settings, timeline: Path, shards: Shards, stack: AsyncExitStack) -> WalWriter:
    wal = log.writer(settings, timeline, shards)
    stack.push_async_callback(wal.stop)
    try:
        await wal.start()
    except Unavailable as error:
        _log.warning("the log of the databases is not written", error=error.message)
    return wal


async def _assembled(settings: Settings, where: Address, engines: Engines, clock: SystemClock) -> Tool:
    """The parts over open engines."""
    data, shards, connection, cache = engines
    token = settings.operator_token or operator_token(data)
    chat = assemble_chat(shards, clock, connection, (settings.rooms, settings.limits, settings.chat))
    regions = made_here(settings, shards.zone_of)
    health = _made_health(settings, engines, clock, regions)
    health.registry.register(RoomMetrics(chat.rooms, connection))
    store = open_store(data, settings.assets)
    queues = Queues(shards, clock, settings.queues)
    notifications = await build_notifications(
        shards, clock, queues, where.public_url, (settings.notifications, settings.mail), settings.resilience.mail
    )
    notifications.feed.on_tell = _teller(chat.rooms)
    key = await keeping_key(shards.directory, clock)
    copies = made_spread(settings, Stands(shards, store, queues), clock, key)
    health.registry.register(AssetMetrics(copies.parts))
    parts = Parts(shards, store, queues, settings.video, clock, notifications.feed, copies)
    performance = Performance(shards, clock, settings.analytics, cache)
    health.checks["store"] = Check(_has_space(store))
    if settings.assets.main:
        health.checks["lectures"] = Check(_is_there(store), needed=False)
    sessions = Sessions(shards.directory, clock, settings.sessions)
    bounds = made_register(settings, clock)
    health.registry.register(LimitMetrics(bounds))
    lti = _made_lti(settings, where, shards, clock, regions)
    return Tool(
        clock=clock,
        shards=shards,
        cache=cache,
        sessions=sessions,
        operators=made_operators(settings, shards.directory, clock, token, (where.public_url, where.development)),
        forgotten=Forgotten(shards.directory, clock, key, sessions),
        answers=Answers(shards, clock, settings.resilience.repeats),
        overload=Overload(settings.resilience.shedding),
        reads=Reads(shards, clock),
        scores=Scores(shards, clock, settings.analytics, performance.note, notifications.feed),
        performance=performance,
        events=Events(shards, clock, queues, settings.events),
        watching=Lectures(shards),
        health=health,
        lti=lti,
        media=build_media(
            data, parts, Signer(await media_key(shards, clock), clock, settings.playback), _announcer(chat.rooms)
        ),
        chat=chat,
        notifications=notifications,
        loadtests=Loadtests(settings.loadtest, lti.platforms, where.public_url, _eraser(settings, data, shards), data),
        bounds=bounds,
        regions=regions,
        **made_desks(settings, shards, cache, clock, performance, queues.wake),
    )


def _made_health(settings: Settings, engines: Engines, clock: SystemClock, regions: Here) -> Health:
    """Readiness and metrics of the engines."""
    _, shards, connection, cache = engines
    health = Health(
        shards,
        new_registry(),
        clock,
        metrics_public=settings.server.metrics_public,
        apart=not is_embedded(settings.databases),
    )
    for metrics in (ReplicaMetrics(shards), RegionMetrics(regions), CacheMetrics(cache)):
        health.registry.register(metrics)
    health.checks |= {
        replica.name: Check(_answers(replicas, replica), needed=False)
        for replicas in shards.replica_sets
        for replica in replicas.replicas
    }
    health.checks["nats"] = Check(_connected(connection), needed=False)
    return health


def _made_lti(settings: Settings, where: Address, shards: Shards, clock: SystemClock, regions: Here) -> Lti:
    """Launches, at the address of this process's region where there are several."""
    lti = build_lti(where.public_url, shards.directory, clock, lti_settings(settings, where), settings.resilience.lms)
    if regions.own is not None:
        lti.launches.stand(regions.own.address or where.public_url, addresses_of(settings))
    return lti


def _eraser(settings: Settings, data: Path, shards: Shards) -> Erase:
    async def erase(tenant: str) -> dict[str, int]:
        keeping = await assembled(settings, data, shards)
        return (await keeping.erasures.erase(Whom(tenant=tenant))).found

    return erase


def lti_settings(settings: Settings, where: Address) -> LtiSettings:
    """The LTI settings in force: a development server also talks to platforms on this computer, and lets them in."""
    if not where.development:
        return settings.lti
    return msgspec.structs.replace(settings.lti, allow_loopback=True, open_registration=True)


def _announcer(rooms: Rooms) -> Announce:
    async def announce(key: CourseKey, kind: str, data: dict[str, Any], user: str | None = None) -> None:
        rooms.announce(key, kind, data, user=user)

    return announce


def _teller(rooms: Rooms) -> Tell:
    def tell(key: CourseKey, user: str, data: dict[str, Any]) -> None:
        rooms.announce(key, "notification", data, user=user)

    return tell


def _connected(connection: Connection) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        if not connection.connected:
            raise Unavailable("not connected; rooms work within each process until it is back")

    return probe


def _answers(replicas: ReplicaSet, replica: Replica) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        await replicas.looked()
        if fault := replica.report(replicas.name).fault:
            raise Unavailable(f"{fault}; reads go to other servers of {replicas.name}")

    return probe


def _has_space(store: Store) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        await asyncio.to_thread(store.check_space)

    return probe


def _is_there(store: Store) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        store.check_there()

    return probe


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
    if not path.exists():
        # Written whole before it gets its name: a crash in between must not leave an empty token.
        draft = data / f".operator-token-{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Whoever is first to link wins; another process that starts at the same moment reads that one's.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
