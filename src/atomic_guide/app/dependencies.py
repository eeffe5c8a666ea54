"""Every dependency of the product, declared once: time-out, breaker, retries, bulkhead, and what goes on without it.

A module that imports a driver must be named here; a test compares this with the list of drivers in `.importlinter`, and
docs/resilience.md with this table.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.config import describe, value_at
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.operations.scaling.reports import Told, named
from atomic_guide.web.dependencies import OPEN, Bounds, Known, Standing, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from atomic_guide.config import Settings
    from atomic_guide.engines.assets.remote import RemoteStore
    from atomic_guide.engines.nats.connection import Connection
    from atomic_guide.operations.scaling.reports import Tell
    from atomic_guide.resilience import Guard
    from atomic_guide.web.tool import Tool

_DATA = "atomic_guide.engines.data"
_PG = "databases.postgresql"
_LMS = "resilience.lms"
_QUEUE = "none at once; the job comes back with growing pauses"


def _lms(service: str, what: str, without: str) -> Bounds:
    return Bounds(
        f"LMS {service}",
        "lms",
        f"`{_LMS}.{service}.seconds`, each step `lti.fetch_seconds`",
        f"`{_LMS}.{service}.failures`, `.rest_seconds`, for each host",
        f"one of {what}, `{_LMS}.{service}.retry_percent` of calls, jittered",
        f"`{_LMS}.{service}.most`, `.wait_seconds`",
        without,
        ("atomic_guide.course.lti.outbound",),
    )


DECLARED: list[Bounds] = [
    Bounds(
        "directory and shards, SQLite",
        "file",
        "`databases.sqlite.busy_timeout`, `.scan_timeout`",
        "none: a file answers or fails at once",
        "none; a group whose disk is full is run one by one",
        "`databases.sqlite.pending_limit`",
        "503 DATA_UNAVAILABLE for what needs the file; the courses of other shards go on",
        tuple(
            f"{_DATA}.{name}"
            for name in (
                "sqlite",
                "sqlite_transaction",
                "examine",
                "dump",
                "snapshot",
                "migrations",
                "moves.files",
            )
        ),
    ),
    Bounds(
        "directory and shards, PostgreSQL",
        "server",
        f"`{_PG}.connect_timeout`, `.statement_timeout`, `.lock_timeout`, `.scan_timeout`",
        f"`{_PG}.breaker_failures`, `.breaker_seconds`",
        f"writes, jittered, for `{_PG}.retry_seconds`, `.retry_percent` of them and `.retry_burst` at once; not while"
        " the breaker is open",
        f"`{_PG}.readers`, `.writers`, `.pending_limit`",
        "503 DATA_UNAVAILABLE for what needs the server; the courses of other shards go on",
        tuple(f"{_DATA}.{name}" for name in ("postgres", "checkout", "failures", "servers", "vitals", "transaction")),
    ),
    Bounds(
        "replicas",
        "server",
        "`databases.reads.wait_ms`, `.answer_seconds`; then as a server",
        "`databases.reads.breaker_failures`, `.breaker_rest_seconds`",
        "none: another replica or the primary answers",
        "`databases.reads.fallback_reads`, `.fallback_wait_seconds`",
        "reads go to other replicas and the primary",
        (),
    ),
    Bounds(
        "NATS",
        "bus",
        "`nats.start_timeout`; publishing never waits",
        "the connection itself: while it is away nothing is sent",
        "connecting, with growing jittered pauses",
        "`nats.outbox_limit`; what is over is dropped and counted",
        "rooms, limits and caches work within each process; others hear it from the database",
        (*(f"atomic_guide.engines.nats.{name}" for name in ("connection", "bucket", "looking")),),
    ),
    Bounds(
        "object store, local",
        "store",
        "none: a file answers or fails at once",
        "none, likewise",
        "none",
        "threads of the process",
        "507 or 503 for uploads and lectures; all else goes on",
        ("atomic_guide.engines.assets.directory",),
    ),
    Bounds(
        "buckets, other stores",
        "store",
        "`assets.copies.call_seconds`",
        "`assets.copies.breaker_failures`, `.breaker_seconds`",
        "`assets.copies.call_retries`, jittered",
        "`assets.copies.at_once`",
        "lectures come from another verified copy; copying goes on later. Without the main bucket and a copy: 503 for"
        " uploads and lectures; all else goes on",
        ("atomic_guide.engines.assets.remote",),
    ),
    _lms("keys", "each GET", "503 LTI_KEYSET_UNAVAILABLE for keys that are not known; known ones go on"),
    _lms("tokens", "none: a POST", "rosters and grades come back as jobs"),
    _lms("roster", "each GET", "the members of before stay"),
    _lms("grades", "each GET", "scores wait as jobs"),
    _lms("registration", "each GET", "503 LMS_UNAVAILABLE to whoever registers"),
    Bounds(
        "operators' provider",
        "provider",
        f"`{_LMS}.keys.seconds`, each step `lti.fetch_seconds`",
        f"`{_LMS}.keys.failures`, `.rest_seconds`",
        f"one of each GET, `{_LMS}.keys.retry_percent` of calls, jittered",
        f"`{_LMS}.keys.most`, `.wait_seconds`",
        "503 SIGN_IN_UNAVAILABLE to who signs in there; sessions and the operators' token go on",
        ("atomic_guide.course.lti.outbound",),
    ),
    Bounds(
        "mail server",
        "mail",
        "`resilience.mail.seconds`, each answer `mail.timeout_seconds`",
        "`resilience.mail.failures`, `.rest_seconds`",
        _QUEUE,
        "`resilience.mail.most`, `.wait_seconds`",
        "letters wait as jobs; the page's bell tells at once",
        ("atomic_guide.course.notifications.smtp",),
    ),
    Bounds(
        "receivers of alerts",
        "webhook",
        "`alerts.timeout_seconds`",
        "five failures rest a receiver",
        "with growing jittered pauses, bounded in number",
        "one message at a time for each",
        "told when it is back; the console's log has it at once",
        ("atomic_guide.operations.alerts.channels.posting",),
    ),
    Bounds(
        "Kubernetes",
        "server",
        "`kubernetes.timeout_seconds`",
        "none: one call in 15 s",
        "jittered, for the time of a decision",
        "one call at a time",
        "decisions are put off and say so; what runs goes on",
        ("atomic_guide.app.targets.apiserver",),
    ),
    Bounds(
        "collector of traces",
        "collector",
        "`tracing.timeout_seconds`",
        "none: it is asked in the background",
        "those of its client",
        "a bounded queue; spans over it are dropped",
        "no traces; nothing else",
        ("atomic_guide.app.telemetry",),
    ),
    Bounds(
        "other regions",
        "server",
        "`regions.probes.timeout`",
        "`regions.probes.down`, `.up`: a region is left after so many probes, and taken again",
        "the next probe",
        "one probe at a time for each",
        "visits go to the next nearest region that may answer",
        ("atomic_guide.operations.regions.looking",),
    ),
    Bounds(
        "target of a load test",
        "server",
        "a constant for each call",
        "none: what fails is what is measured",
        "none, likewise",
        "`loadtest.most_rps`, `.most_sockets`",
        "the test ends and says so; only a tester calls it",
        ("atomic_guide.operations.loadtest.target",),
    ),
    Bounds(
        "engines and people of a rehearsal",
        "program",
        "a constant for each step",
        "none: what fails is what is rehearsed",
        "none, likewise",
        "one rehearsal at a time",
        "the rehearsal ends and says so; only a rehearsal calls them",
        (
            "atomic_guide.app.rehearsal.engines",
            "atomic_guide.app.rehearsal.ground",
            "atomic_guide.app.rehearsal.lecture",
            "atomic_guide.app.rehearsal.load",
            "atomic_guide.app.rehearsal.people",
            "atomic_guide.app.rehearsal.rehearsal",
        ),
    ),
    Bounds(
        "ffmpeg",
        "program",
        "`queues.video.time_limit_seconds`",
        "none: each run is a program of its own",
        _QUEUE,
        "`queues.video.concurrency`",
        "lectures wait as jobs; those that are ready play",
        ("atomic_guide.course.video.ffmpeg",),
    ),
]


def known(tool: Tool, connection: Connection, settings: Settings) -> Known:
    """The dependencies of a process."""
    return Known(in_force(settings), lambda: list(_look(tool, connection)))


def in_force(settings: Settings) -> list[Bounds]:
    """The declared dependencies with the values of the settings that bound them."""
    units = {row.key: row.unit for row in describe()}
    return [
        msgspec.structs.replace(one, values={key: _said(value_at(settings, key), units[key]) for key in keys_of(one)})
        for one in DECLARED
    ]


def keys_of(bounds: Bounds) -> list[str]:
    """The settings that a dependency's bounds name, whole; `.name` there is another one of the section before it."""
    found: dict[str, None] = {}
    for text in (bounds.time_out, bounds.breaker, bounds.retries, bounds.bulkhead):
        section = ""
        for word in re.findall(r"`([^`]+)`", text):
            key = f"{section}{word}" if word.startswith(".") else word
            section = key.rpartition(".")[0]
            found[key] = None
    return list(found)


def _said(value: Any, unit: str) -> str:
    return f"{value:g} {unit}" if isinstance(value, float) else f"{value:,} {unit}"


def _look(tool: Tool, connection: Connection) -> Iterator[Standing]:
    shards = tool.shards
    databases = [shards.directory.target.database, *(whole.shard.primary for whole in shards.all())]
    for database in databases:
        if isinstance(database, PostgresDatabase):
            state = cast("State", database.breaker.state)
            yield Standing(database.name, "server", state, database.backlog, database.counts)
        elif isinstance(database, SqliteDatabase):
            yield Standing(database.name, "file", "none", database.backlog, {})
    for replicas in shards.replica_sets:
        for replica in replicas.replicas:
            yield Standing(replica.name, "server", cast("State", replica.breaker.state), 0, {})
    yield Standing("NATS", "bus", "closed" if connection.connected else "open", 0, {"dropped": connection.dropped})
    for (service, _host), guard in tool.lti.outbound.guards.items():
        yield _of(f"LMS {service}", "lms", guard)
    for guard in tool.operators.provider.guards if tool.operators.provider is not None else ():
        yield _of("operators' provider", "provider", guard)
    yield _of("mail server", "mail", tool.notifications.mail.guard)
    if tool.media.parts.spread is not None:
        yield from map(_of_store, tool.media.parts.spread.parts.remotes.values())


def _of_store(remote: RemoteStore) -> Standing:
    outcomes = Counter[str]()
    for (_, outcome), number in remote.calls.items():
        outcomes[outcome] += number
    return Standing(f"store {remote.name}", "store", cast("State", remote.breaker.state), 0, dict(outcomes))


def _of(name: str, kind: str, guard: Guard) -> Standing:
    return Standing(name, kind, cast("State", guard.breaker.state), guard.running, dict(guard.counts))


def dependencies_telling(tool: Tool) -> Tell:
    """What a process tells of its breakers: those that are not closed."""

    def tell() -> Told:
        standing = tool.dependencies.look() if tool.dependencies is not None else []
        opened = {name: _opened(found) for name, found in _by_name(standing).items()}
        return Told(gauges={named(OPEN, name): float(count) for name, count in opened.items() if count})

    return tell


class DependencyMetrics(Collector):
    """Dependencies as Prometheus sees them; those of all LMSs of a service are one, since hosts are many."""

    def __init__(self, found: Known) -> None:
        self._known = found

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        text = "Breakers that are not closed."
        opened = GaugeMetricFamily("atomic_guide_dependency_open", text, labels=["dependency"])
        text = "Calls of a dependency by what came of them."
        counted = CounterMetricFamily("atomic_guide_dependency_calls", text, labels=["dependency", "outcome"])
        for name, standing in _by_name(self._known.look()).items():
            opened.add_metric([name], _opened(standing))
            counts: dict[str, int] = {}
            for one in standing:
                for outcome, count in one.counts.items():
                    counts[outcome] = counts.get(outcome, 0) + count
            for outcome, count in counts.items():
                counted.add_metric([name, outcome], count)
        yield opened
        yield counted


def _opened(standing: Iterable[Standing]) -> int:
    return sum(one.state in {"open", "half-open"} for one in standing)


def _by_name(standing: Iterable[Standing]) -> dict[str, list[Standing]]:
    found: dict[str, list[Standing]] = {}
    for one in standing:
        found.setdefault(one.name, []).append(one)
    return found


def table() -> str:
    """The table of docs/resilience.md."""
    head = "| dependency | time-out | breaker | retries | bulkhead | without it |"
    rows = [
        f"| {one.name} | {one.time_out} | {one.breaker} | {one.retries} | {one.bulkhead} | {one.without} |"
        for one in DECLARED
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])
