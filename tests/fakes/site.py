"""The tool's launch pages over real databases, without the rest of the server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from starlette.applications import Starlette

from atomic_guide.clock import Clock, SystemClock
from atomic_guide.course.lti.assembly import Lti, build_lti
from atomic_guide.course.lti.registration import Draft
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.web import launch, registration
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Sessions
from atomic_guide.web.settings import SessionSettings
from atomic_guide.web.tool import Tool
from tests.engines import installed
from tests.fakes.platform import CLIENT, DEPLOYMENT, FakePlatform

BASE = "https://tool.example.edu"
TARGET = f"{BASE}/lti/launch"


class Started(NamedTuple):
    """A login that a test began: what went to the platform, and the browser's cookies."""

    state: str
    nonce: str
    cookie: str
    answer: httpx.Response


class Site:
    """The tool with its parts, and a way to launch."""

    def __init__(self, app: Starlette, lti: Lti, shards: Shards, sessions: Sessions, platform: FakePlatform) -> None:
        self.app = app
        self.lti = lti
        self.shards = shards
        self.sessions = sessions
        self.platform = platform

    def browser(self) -> httpx.AsyncClient:
        """A browser without cookies of its own; tests say which it sends."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE)

    async def start(self, **changes: str | None) -> Started:
        """Begin a login."""
        fields = {"iss": self.platform.issuer, "client_id": CLIENT, "login_hint": "hint", "target_link_uri": TARGET}
        sent = {name: value for name, value in {**fields, **changes}.items() if value is not None}
        async with self.browser() as browser:
            answer = await browser.post("/lti/init", data=sent)
        place = answer.headers.get("location") or next(iter(re.findall(r'href="([^"]*state=[^"]*)"', answer.text)), "")
        query = parse_qs(urlsplit(place.replace("&amp;", "&")).query)
        cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return Started(query.get("state", [""])[0], query.get("nonce", [""])[0], cookie, answer)

    async def post(self, state: str | None, token: str | None, cookie: str = "", **more: str) -> httpx.Response:
        """Post a launch."""
        sent = {name: value for name, value in {"state": state, "id_token": token, **more}.items() if value is not None}
        async with self.browser() as browser:
            return await browser.post("/lti/launch", data=sent, headers={"Cookie": cookie} if cookie else {})

    async def launch(self, **changes: Any) -> httpx.Response:
        """A whole launch with changed claims."""
        started = await self.start()
        token = self.platform.sign(self.platform.claims(started.nonce, TARGET, **changes))
        return await self.post(started.state, token, started.cookie)


def code_of(answer: httpx.Response) -> str | None:
    """The one-time code in a page."""
    found = re.search(r'<meta name="atomic-guide-code" content="([^"]+)">', answer.text)
    return found[1] if found else None


def error_of(answer: httpx.Response) -> str | None:
    """The error code in a page."""
    found = re.search(r'<meta name="atomic-guide-error" content="([^"]+)">', answer.text)
    return found[1] if found else None


@contextlib.asynccontextmanager
async def launch_site(
    folder: Path, platform: FakePlatform, clock: Clock | None = None, *, mailed: bool = False, **settings: Any
) -> AsyncIterator[Site]:
    """The launch pages with the platform registered; `mailed`: where e-mail is sent."""
    clock = clock or SystemClock()
    shards = await open_embedded(installed(folder))
    chosen = msgspec.structs.replace(LtiSettings(allow_loopback=True), **settings)
    lti = build_lti(BASE, shards.directory, clock, chosen)
    sessions = Sessions(shards.directory, clock, SessionSettings())
    queues = Queues(shards, clock, QueueSettings())
    media = SimpleNamespace(queues=queues, settings=VideoSettings(), origins=[])
    notifications = SimpleNamespace(contacts=SimpleNamespace(on=mailed))
    parts = {"lti": lti, "media": media, "notifications": notifications}
    tool = cast("Tool", SimpleNamespace(clock=clock, shards=shards, sessions=sessions, **parts))
    try:
        await lti.platforms.add(draft_of(platform))
        yield Site(
            create_app(tool, [*launch.calls.declared, *registration.calls.declared]), lti, shards, sessions, platform
        )
    finally:
        await lti.close()
        await shards.close()


def draft_of(platform: FakePlatform, **changes: Any) -> Draft:
    """The platform's registration."""
    return msgspec.structs.replace(
        Draft(
            issuer=platform.issuer,
            client_id=CLIENT,
            auth_url=f"{platform.url}/auth",
            token_url=f"{platform.url}/token",
            keyset_url=f"{platform.url}/jwks",
            deployment_id=DEPLOYMENT,
        ),
        **changes,
    )
