"""Whether the server is alive and ready, and its metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.web.limits import from_this_computer
from atomic_guide.web.routing import Answer, Call, Calls, Media

calls = Calls()

CHECK_SECONDS = 1.0
"""What a dependency may take to answer; one that is slower is not ready."""

REUSE_SECONDS = 0.5
"""How long an answer is good for others: anybody may ask, and asking must not become load."""


class Check(msgspec.Struct, frozen=True):
    """How to ask a dependency for a sign of life, and whether nothing works without it."""

    probe: Callable[[], Awaitable[object]]
    needed: bool = True


class Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a dependency answered."""

    status: Literal["ready", "failed"]
    needed: bool
    ms: float
    reason: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """Ready; degraded where something is away that the course can do without; unready where it cannot."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Checked]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Health:
    """The dependencies of a process by name; parts register theirs in `checks`.

    Where the databases are `apart`, on machines of their own, one that is away is no reason to send the courses of
    the others away from every process: then the process is unready only where no shard answers.
    """

    def __init__(
        self,
        shards: Shards,
        registry: CollectorRegistry,
        clock: Clock,
        *,
        metrics_public: bool,
        apart: bool = False,
    ) -> None:
        self.registry = registry
        self.metrics_public = metrics_public
        self.checks: dict[str, Check] = {"shards": Check(lambda: _any_answers(shards))} if apart else {}
        self._shards = shards
        self._apart = apart
        self._clock = clock
        self._last: tuple[float, Readiness] | None = None
        self._asking = asyncio.Lock()

    async def readiness(self) -> Readiness:
        """Ask every dependency, all at once."""
        async with self._asking:
            if self._last is None or self._clock.monotonic() - self._last[0] >= REUSE_SECONDS:
                checks = {**self._databases(), **self.checks}
                answers = await asyncio.gather(*(_ask(check) for check in checks.values()))
                found = dict(zip(checks, answers, strict=True))
                self._last = self._clock.monotonic(), Readiness(_status(found), found)
            return self._last[1]

    def _databases(self) -> dict[str, Check]:
        # Anew each time: shards are added while the process runs.
        databases: list[Database] = [self._shards.directory, *self._shards.all()]
        return {database.name: Check(_ping(database), needed=not self._apart) for database in databases}


_PING: Query = QUERIES["ping"]


def _ping(database: Database) -> Callable[[], Awaitable[object]]:
    return lambda: database.one(_PING)


async def _any_answers(shards: Shards) -> None:
    answers = await asyncio.gather(*(shard.one(_PING) for shard in shards.all()), return_exceptions=True)
    if all(isinstance(answer, BaseException) for answer in answers):
        raise errors.Unavailable("no shard answers")


@calls.add("GET", "/healthz", access="none", reply=Alive)
async def alive(call: Call[None]) -> Alive:
    """Say that the process answers, whatever it depends on."""
    del call
    return Alive()


@calls.add("GET", "/readyz", access="none", reply=Readiness)
async def ready(call: Call[None]) -> Readiness | Answer:
    """Say whether requests can be served, by dependency."""
    found = await call.tool.health.readiness()
    if found.status != "unready":
        return found
    away = [name for name, check in found.checks.items() if check.status == "failed" and check.needed]
    error = {
        "code": errors.Unavailable.code,
        "message": f"{', '.join(away)} not ready",
        "details": {},
        "timestamp": iso(call.tool.clock.now()),
    }
    body = {"status": found.status, "checks": found.checks, "error": error}
    return Answer(body, errors.Unavailable.status, {"Retry-After": "1"})


@calls.add("GET", "/metrics", access="none", reply=Media("text/plain"), failures=(401,))
async def metrics(call: Call[None]) -> Response:
    """Give this process's metrics to Prometheus: on this computer, or with the operator token."""
    health = call.tool.health
    if not (health.metrics_public or from_this_computer(call.request)):
        await call.tool.operators.access.operator(call.request)
    return Response(generate_latest(health.registry), media_type=CONTENT_TYPE_LATEST)


async def _ask(check: Check) -> Checked:
    began = time.perf_counter()
    reason = ""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check.probe()
    except TimeoutError:
        reason = f"no answer within {CHECK_SECONDS:g} s"
    except errors.GuideError as error:
        reason = error.message
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the dependency is not ready
        # The text of a foreign error may hold addresses and paths; its kind is enough here.
        reason = type(error).__name__
    ms = round((time.perf_counter() - began) * 1000, 2)
    return Checked("failed" if reason else "ready", check.needed, ms, reason)


def _status(found: dict[str, Checked]) -> Literal["ready", "degraded", "unready"]:
    failed = [check for check in found.values() if check.status == "failed"]
    if any(check.needed for check in failed):
        return "unready"
    return "degraded" if failed else "ready"
