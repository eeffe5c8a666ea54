"""Load tests over HTTP, for operators: this server as a target, and the reports of tests that were run from here.

A tester is a platform: it signs launches with a key of its own, which the target takes in for one test. So only a
server that is marked as a test target can be loaded at all, every person of a test is in a tenant of its own, and what
a test leaves is erased as any tenant is.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from atomic_guide import errors
from atomic_guide.course.lti.keysets import HELD
from atomic_guide.course.lti.registration import Draft, Platforms, tenant_of
from atomic_guide.operations.loadtest.plan import Platform
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.store import REPORT, Brief, Place, Store
from atomic_guide.web.pages import COURSE, is_built
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_ISSUER = "https://loadtest.invalid"
"""A host that can be nobody's (RFC 2606): nothing is ever called there, and no LMS has this issuer."""

_CLIENT = "loadtest"
_DEPLOYMENT = "1"
_RUN = re.compile(r"[0-9a-f]{12}")
_LONGEST = 10_000_000
"""Seconds: more than any test may last."""

_PROCESS = secrets.token_hex(4)

Erase = Callable[[str], Awaitable[dict[str, int]]]
"""Erases a tenant: what was found of it, by table."""


class Keys(msgspec.Struct):
    """The public keys of a tester, as a JSON Web Key Set."""

    keys: list[dict[str, Any]]


class TargetState(msgspec.Struct, frozen=True):
    """Whether this server may be loaded, and what the process that answers has used so far.

    `pages` is whether the pages that launches end with are built; without them nobody comes in.
    """

    target: bool
    process: str
    cpu_seconds: float
    cpus: int
    pages: bool


class Cleaned(msgspec.Struct, frozen=True):
    """What was erased of a test, rows by table."""

    run: str
    tenant: str
    erased: dict[str, int]


class Listed(msgspec.Struct, frozen=True):
    """A test in short; `state` is what goes on while it runs, `verdict` how it ended.

    `throughput` (arrivals that succeeded a second) and `p95` (seconds) are those of the holds, null without a report.
    """

    id: str
    running: bool
    state: dict[str, Any] | None
    started_at: str | None
    target: str | None
    verdict: dict[str, Any] | None
    throughput: float | None
    p95: float | None


class Listing(msgspec.Struct, frozen=True):
    """The tests of this data directory, the newest first."""

    loadtests: list[Listed]


class Seconds(msgspec.Struct, frozen=True):
    """What a running test tells: `state` as lists have it, null once it is over, and each second as reports have it."""

    id: str
    state: dict[str, Any] | None
    seconds: list[dict[str, Any]]


class Stopping(msgspec.Struct, frozen=True):
    """A test that was asked to end; it does within seconds, with a report of what was."""

    stopping: str


class Loadtests:
    """What a server does for load tests; `data` is where reports are."""

    def __init__(self, settings: LoadtestSettings, platforms: Platforms, tool: str, erase: Erase, data: Path) -> None:
        self.settings = settings
        self.store = Store(data)
        self._platforms = platforms
        self._tool = tool
        self._erase = erase

    async def admit(self, keys: Keys) -> Platform:
        """Register a tester as a platform. Raises `Forbidden` where this is no test target, `Invalid` for bad keys."""
        if not self.settings.target:
            raise errors.Forbidden(
                "this server is not marked as a test target; where nobody learns on it, set loadtest.target = true"
                " (ATOMIC_GUIDE_LOADTEST_TARGET=true) and start it again"
            )
        encoded = msgspec.json.encode(keys, order="sorted")
        # Of the keys, so that the same call again is the same test.
        run = hashlib.sha256(encoded).hexdigest()[:12]
        held = base64.b64encode(encoded).decode()
        draft = Draft(
            issuer=f"{_ISSUER}/{run}",
            client_id=_CLIENT,
            deployment_id=_DEPLOYMENT,
            name=f"Load test {run}",
            auth_url=f"{_ISSUER}/{run}/auth",
            token_url=f"{_ISSUER}/{run}/token",
            keyset_url=HELD + held,
        )
        await self._platforms.add(draft)
        return Platform(run, self._tool, draft.issuer, _CLIENT, _DEPLOYMENT, _tenant(run))

    async def clean(self, run: str) -> Cleaned:
        """Forget a test's platform and everything that its people left. Again is harmless. Raises `NotFound`."""
        if not _RUN.fullmatch(run):
            raise errors.NotFound("there is no such load test here")
        tenant = _tenant(run)
        known = await self._platforms.get_client(f"{_ISSUER}/{run}", _CLIENT)
        if known is not None:
            # First of all, so that nobody comes in while it is erased.
            await self._platforms.remove(known)
        return Cleaned(run, tenant, await self._erase(tenant))

    def listed(self) -> list[Listed]:
        """The tests whose reports are here."""
        return [_listed(self.store.find(name)) for name in self.store.ids()]

    def seconds(self, identifier: str, after: int) -> Seconds:
        """What a test has told since a second. Raises `NotFound`."""
        place = self.store.find(identifier)
        state = place.state(time.time())
        return Seconds(place.id, state, place.seconds(after) if state else [])

    def stop(self, identifier: str, by: str) -> Stopping:
        """Ask a test to end. Raises `NotFound`, `Conflict` where it does not run."""
        place = self.store.find(identifier)
        place.ask_to_stop(by, time.time())
        return Stopping(place.id)


def _tenant(run: str) -> str:
    return tenant_of(f"{_ISSUER}/{run}", _CLIENT, _DEPLOYMENT)


def _listed(place: Place) -> Listed:
    state = place.state(time.time())
    report = place.brief() or Brief()
    held = report.steady.all
    throughput = held.throughput if report.started_at is not None else None
    return Listed(
        place.id, state is not None, state, report.started_at, report.target, report.verdict, throughput, held.p95
    )


@calls.add("GET", "/api/ops/loadtest/target", access="operator", reply=TargetState, failures=(401,))
async def tell_target(call: Call[None]) -> TargetState:
    """Say whether this server is marked as a test target, and what CPU time the answering process has used."""
    target = call.tool.loadtests.settings.target
    return TargetState(target, _PROCESS, time.process_time(), os.cpu_count() or 1, is_built(COURSE))


@calls.add("POST", "/api/ops/loadtest/runs", access="operator", body=Keys, reply=Platform, status=201, failures=(403,))
async def admit_tester(call: Call[Keys]) -> Platform:
    """Take a tester in: register its keys as a platform of its own, for one test."""
    return await call.tool.loadtests.admit(call.body)


@calls.add("POST", "/api/ops/loadtest/runs/{run}/clean", access="operator", reply=Cleaned, failures=(404, 409, 503))
async def clean_run(call: Call[None]) -> Cleaned:
    """Erase what a load test left: its platform and its tenant with everything in it."""
    return await call.tool.loadtests.clean(call.request.path_params["run"])


@calls.add("GET", "/api/ops/loadtests", access="operator", reply=Listing, failures=(401,))
async def list_loadtests(call: Call[None]) -> Listing:
    """List the load tests that were run from this data directory, and the one that runs."""
    return Listing(await asyncio.to_thread(call.tool.loadtests.listed))


@calls.add("GET", "/api/ops/loadtests/{id}", access="operator", reply=dict[str, Any], failures=(401, 404))
async def show_loadtest(call: Call[None]) -> dict[str, Any]:
    """Give the whole report of a load test; docs/load-tests.md says what its fields are."""
    place = call.tool.loadtests.store.find(call.request.path_params["id"])
    report = await asyncio.to_thread(place.read, REPORT)
    if not isinstance(report, dict):
        raise errors.NotFound(f"load test {place.id} has no report yet")
    return report


@calls.add(
    "GET",
    "/api/ops/loadtests/{id}/seconds",
    access="operator",
    reply=Seconds,
    failures=(400, 401, 404),
    parameters=(
        Parameter("after", {"type": "integer", "minimum": 0, "maximum": _LONGEST}, "The last second that is known."),
    ),
)
async def follow_loadtest(call: Call[None]) -> Seconds:
    """Give what a running load test tells, second by second, of the last quarter of an hour at most."""
    after = call.whole_number("after", default=0, most=_LONGEST) or 0
    return await asyncio.to_thread(call.tool.loadtests.seconds, call.request.path_params["id"], after)


@calls.add(
    "POST", "/api/ops/loadtests/{id}/stop", access="operator", reply=Stopping, failures=(401, 404, 409, 503, 507)
)
async def stop_loadtest(call: Call[None]) -> Stopping:
    """End a running load test before its time; its report tells of what was. Again is harmless while it runs."""
    loadtests, name = call.tool.loadtests, call.request.path_params["id"]
    return await asyncio.to_thread(loadtests.stop, name, call.operator.name)
