"""Where courses are kept: SQLite files of the data directory, or PostgreSQL servers."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from atomic_guide.engines.data.plan import TOLERANCE
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.sqlite_settings import SqliteSettings
from atomic_guide.errors import ConfigurationError
from atomic_guide.setting import setting

DEFAULT_ZONE = "default"

Address = Annotated[str, msgspec.Meta(pattern=r"^postgres(ql)?://")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class PostgresSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each process talks to each server."""

    readers: Annotated[
        int,
        setting(
            "Most connections for reads to each server; concurrent point reads share one statement.",
            "connections",
            ge=1,
            le=1000,
        ),
    ] = 8
    writers: Annotated[
        int,
        setting(
            "Most connections for writes to each primary; more than its cores only wait for one another.",
            "connections",
            ge=1,
            le=1000,
        ),
    ] = 8
    breaker_failures: Annotated[
        int,
        setting(
            "Failures in a row after which a server is not asked for a while: with 8 readers and 4 writers, one failure"
            " of each connection is less than twice this.",
            "failures",
            ge=1,
            le=1000,
        ),
    ] = 8
    breaker_seconds: Annotated[
        float,
        setting(
            "How long it is not asked then. A failover takes some seconds; half a second more is not felt.",
            "s",
            gt=0,
            le=60,
        ),
    ] = 0.5
    pending_limit: Annotated[
        int,
        setting(
            "Most statements that may wait for a connection; the next is refused with 503.",
            "statements",
            ge=1,
            le=1_000_000,
        ),
    ] = 10_000
    connect_timeout: Annotated[
        float,
        setting("How long a new connection may take.", "s", ge=0.1, le=60),
    ] = 5.0
    statement_timeout: Annotated[
        float,
        setting("When a short statement is broken off.", "s", ge=0.1, le=600),
    ] = 10.0
    scan_timeout: Annotated[
        float,
        setting("When a long read is broken off; a report over a year takes well under this.", "s", ge=0.1, le=3600),
    ] = 30.0
    lock_timeout: Annotated[
        float,
        setting("How long a statement waits for another's locks.", "s", ge=0.1, le=60),
    ] = 5.0
    retry_seconds: Annotated[
        float,
        setting(
            "How long a write looks for its primary when the connection fails before the commit.", "s", ge=0, le=60
        ),
    ] = 5.0
    retry_percent: Annotated[
        float,
        setting(
            "Retries that ask a server again, of 100 writes at most; what is more fails at once with 503.",
            "%",
            ge=0,
            le=100,
        ),
    ] = 10.0
    retry_burst: Annotated[
        int,
        setting(
            "Retries that may be made at once after a quiet time: the writes that wait while a standby is promoted.",
            "retries",
            ge=0,
            le=100_000,
        ),
    ] = 200
    tls: Annotated[
        Literal["auto", "disable", "require", "verify-full"],
        setting("auto: verify-full to other machines, none on loopback; `sslmode` in an address wins.", "mode"),
    ] = "auto"
    tls_ca: Annotated[
        str | None,
        setting("The authorities that sign the servers' certificates; none: the system's.", "path"),
    ] = None


class ReplicaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A streaming replica of a shard: its address, and the region that it stands in."""

    url: Address
    region: str = ""


class ShardSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shard on PostgreSQL: the primary's address (several hosts for failover), its zone, weight and replicas."""

    name: Name
    url: Address
    zone: Name = DEFAULT_ZONE
    region: str = ""
    weight: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    replicas: tuple[ReplicaSettings, ...] = ()


class StandbySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Replicas that the server starts itself beside primaries on its own computer."""

    programs: Annotated[
        str | None,
        setting(
            "The folder with pg_basebackup and postgres in the primary's version, such as /usr/lib/postgresql/17/bin;"
            " none: replicas are only what databases.servers names.",
            "path",
        ),
    ] = None
    folder: Annotated[
        str | None,
        setting("Where their data lies; none: `standbys` in the data directory.", "path"),
    ] = None
    account: Annotated[
        str | None,
        setting("The account that runs them where the server runs as root, which PostgreSQL refuses.", "account"),
    ] = None


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where courses are kept."""

    shards: Annotated[
        int,
        setting(
            "Shard files of the embedded form; four spread the writers over as many threads and files.",
            "files",
            ge=1,
            le=64,
        ),
    ] = 4
    directory: Annotated[
        Address | None,
        setting(
            "The directory database on PostgreSQL, `postgresql://...`; without it all databases are files.", "secret"
        ),
    ] = None
    servers: Annotated[
        tuple[ShardSettings, ...],
        setting(
            "The shards on PostgreSQL: name, url, zone, region, weight and replicas (url, region) of each.", "secret"
        ),
    ] = ()
    tolerance: Annotated[
        float,
        setting(
            "How far a shard may be from its share before `shards rebalance` moves anything; chance: 1-2%.",
            "share",
            ge=0,
            le=1,
        ),
    ] = TOLERANCE
    moves_at_once: Annotated[
        int,
        setting("Buckets that one command moves at the same time; each copies over two shards.", "moves", ge=1, le=64),
    ] = 2
    region: Annotated[
        str,
        setting("Where this process stands; replicas of the same region are asked first.", "region"),
    ] = ""
    reads: ReadSettings = ReadSettings()
    standbys: StandbySettings = StandbySettings()
    sqlite: SqliteSettings = SqliteSettings()
    postgresql: PostgresSettings = PostgresSettings()


def check_servers(settings: DataSettings) -> None:
    """Raise `ConfigurationError` for shards that cannot be as they are declared, naming the setting."""
    if settings.directory is None:
        if settings.servers:
            raise ConfigurationError("setting databases.servers: name the directory database too, databases.directory")
        return
    if not settings.servers:
        raise ConfigurationError("setting databases.servers: name at least one shard beside databases.directory")
    names = [server.name for server in settings.servers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"setting databases.servers: {', '.join(twice)} stands twice")
    urls = [settings.directory, *(server.url for server in settings.servers)]
    if len(set(urls)) < len(urls):
        raise ConfigurationError("setting databases.servers: two databases have one address; give each its own")


def is_beside(address: str) -> bool:
    """Whether a primary is one server on this computer, by TCP."""
    parts = urlsplit(address)
    return "," not in parts.netloc and parts.hostname in {"localhost", "127.0.0.1", "::1"}
