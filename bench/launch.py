"""Full launch validations per second on one core, beside PyLTI1p3 doing its own in the same run.

Ours is everything that `POST /lti/launch` does before it answers: the login of the state from SQLite, header,
signature, every claim, nonce, and the login used up in SQLite (group commit, fsync), 100 launches at a time.
PyLTI1p3 gets what favours it: the key set and the session in memory, nothing written to disk. Both run pinned to
one core, in turns; the figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.server
import json
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from joserfc import jwt
from joserfc.jwk import RSAKey
from pylti1p3.cookie import CookieService
from pylti1p3.message_launch import MessageLaunch
from pylti1p3.request import Request
from pylti1p3.session import SessionService
from pylti1p3.tool_config.dict import ToolConfDict

from atomic_guide.clock import SystemClock
from atomic_guide.course.lti.assembly import Lti, build_lti
from atomic_guide.course.lti.logins import LoginRequest
from atomic_guide.course.lti.registration import Draft, Platform
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.settings import DataSettings

BASE = "https://tool.example.edu"
TARGET = f"{BASE}/lti/launch"
ISSUER = "https://lms.example.edu"
CLIENT, DEPLOYMENT = "client", "deployment"
KID = "key"
CONCURRENCY = 100
LTI = "https://purl.imsglobal.org/spec/lti/claim/"


class Prepared(NamedTuple):
    """One launch, ready to be posted."""

    state: str
    token: str
    binding: str


class Round(NamedTuple):
    """One timed run: validations per second, CPU seconds per 1,000."""

    rate: float
    cpu: float


def claims(nonce: str) -> dict[str, Any]:
    """A launch with what an LMS usually sends."""
    now = int(time.time())
    membership = "http://purl.imsglobal.org/vocab/lis/v2/membership"
    return {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "4f1c2a",
        "nonce": nonce,
        "iat": now,
        "exp": now + 3600,
        "name": "Student 4",
        f"{LTI}version": "1.3.0",
        f"{LTI}message_type": "LtiResourceLinkRequest",
        f"{LTI}deployment_id": DEPLOYMENT,
        f"{LTI}target_link_uri": TARGET,
        f"{LTI}resource_link": {"id": "link", "title": "Course room"},
        f"{LTI}roles": [f"{membership}#Learner"],
        f"{LTI}context": {"id": "course", "label": "WO101", "title": "Waves and Optics 101", "type": ["CourseSection"]},
        f"{LTI}launch_presentation": {"locale": "en", "return_url": f"{ISSUER}/back", "document_target": "iframe"},
        f"{LTI}custom": {f"field_{number}": "a value of some length" for number in range(10)},
    }


def sign(key: RSAKey, nonce: str) -> str:
    """A token for a login."""
    return jwt.encode({"alg": "RS256", "kid": KID, "typ": "JWT"}, claims(nonce), key)


@contextmanager
def key_server(key_set: bytes) -> Iterator[tuple[str, list[int]]]:
    """Serve a key set on loopback; gives its address and a list that grows with every fetch."""
    fetches: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetches.append(1)
            self.send_response(200)
            self.send_header("Content-Length", str(len(key_set)))
            self.end_headers()
            self.wfile.write(key_set)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks", fetches
    finally:
        server.shutdown()
        server.server_close()


async def prepare(lti: Lti, platform: Platform, key: RSAKey, count: int) -> list[Prepared]:
    """Begin logins and sign their tokens, untimed."""
    request = LoginRequest(iss=ISSUER, login_hint="hint", target_link_uri=TARGET, client_id=CLIENT)
    begun = await asyncio.gather(*(lti.logins.begin(platform, request) for _ in range(count)))
    return [Prepared(one.state, sign(key, one.nonce), one.binding) for one in begun]


async def let_in(lti: Lti, launches: list[Prepared]) -> None:
    """Validate every launch, `CONCURRENCY` at a time."""
    waiting = iter(launches)

    async def visitor() -> None:
        for one in waiting:
            checked = await lti.launches.check(one.state, one.token)
            launch = await lti.launches.admit(checked, one.binding)
            assert launch.role == "learner"

    await asyncio.gather(*(visitor() for _ in range(CONCURRENCY)))


class _Request(Request):
    """A posted form as PyLTI1p3 wants it."""

    def __init__(self, fields: dict[str, str], session: dict[str, Any]) -> None:
        self._fields = fields
        self._session = session

    @property
    def session(self) -> dict[str, Any]:
        return self._session

    def is_secure(self) -> bool:
        return True

    def get_param(self, key: str) -> str:
        return self._fields[key]


class _Cookies(CookieService):
    """The browser's cookies, in memory."""

    def __init__(self, state: str) -> None:
        self._state = state

    def get_cookie(self, name: str) -> str | None:
        return self._state if name == self._state else None

    def set_cookie(self, name: str, value: str | int, exp: int | None = 3600) -> None:
        pass


class _Launch(MessageLaunch):  # type: ignore[type-arg]
    """PyLTI1p3's launch over the request above."""

    def _get_request_param(self, key: str) -> str:
        return str(self._request.get_param(key))


def peer(key: RSAKey, count: int) -> Callable[[], None]:
    """PyLTI1p3 validating `count` launches; its sessions are prepared, untimed."""
    settings: Any = {
        "client_id": CLIENT,
        "auth_login_url": f"{ISSUER}/auth",
        "auth_token_url": f"{ISSUER}/token",
        "key_set": {"keys": [{**key.as_dict(private=False), "kid": KID, "alg": "RS256", "use": "sig"}]},
        "deployment_ids": [DEPLOYMENT],
    }
    config = ToolConfDict({ISSUER: settings})
    prepared = []
    for number in range(count):
        nonce, state = f"nonce-{number}", f"state-{number}"
        request = _Request({"id_token": sign(key, nonce), "state": state}, {})
        session: Any = SessionService(request)
        session.save_nonce(nonce)
        prepared.append((request, session, _Cookies(state)))

    def validate() -> None:
        for request, session, cookies in prepared:
            launch = _Launch(request, config, session, cookies)
            assert launch.validate().get_launch_data()["sub"]

    return validate


async def ours(lti: Lti, platform: Platform, key: RSAKey, count: int) -> Round:
    """One timed round of ours."""
    launches = await prepare(lti, platform, key, count)
    began, spent = time.perf_counter(), time.process_time()
    await let_in(lti, launches)
    return _round(count, began, spent)


def theirs(key: RSAKey, count: int) -> Round:
    """One timed round of the peer."""
    validate = peer(key, count)
    began, spent = time.perf_counter(), time.process_time()
    validate()
    return _round(count, began, spent)


def _round(count: int, began: float, spent: float) -> Round:
    return Round(count / (time.perf_counter() - began), (time.process_time() - spent) / count * 1000)


async def measure(folder: Path, count: int, rounds: int) -> tuple[list[Round], list[Round], int]:
    """Rounds of both, in turns, and how often the key set was fetched."""
    key = RSAKey.generate_key(2048)
    key_set = json.dumps({"keys": [{**key.as_dict(private=False), "kid": KID, "use": "sig"}]}).encode()
    with key_server(key_set) as (url, fetches):
        shards = await open_embedded(folder, DataSettings(shards=1))
        lti = build_lti(BASE, shards.directory, SystemClock(), LtiSettings(allow_loopback=True))
        draft = Draft(
            issuer=ISSUER, client_id=CLIENT, deployment_id=DEPLOYMENT, auth_url=f"{ISSUER}/auth",
            token_url=f"{ISSUER}/token", keyset_url=url,
        )  # fmt: skip
        platform = (await lti.platforms.add(draft)).platform
        try:
            await ours(lti, platform, key, 50)
            theirs(key, 50)
            mine, peers = [], []
            for _ in range(rounds):
                mine.append(await ours(lti, platform, key, count))
                peers.append(theirs(key, count))
        finally:
            await lti.close()
            await shards.close()
        return mine, peers, len(fetches)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=3000, help="launches in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    # As `atomic-guide serve` does.
    sys.setswitchinterval(0.0005)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        mine, peers, fetches = runner.run(measure(Path(folder), options.launches, options.rounds))
    print(f"{options.rounds} rounds of {options.launches} launches, one core, load {os.getloadavg()[0]:.2f}")
    print("durable: SQLite WAL, synchronous=FULL (fsync at each commit), the peer writes nothing")
    for name, found in (("atomic guide", mine), ("PyLTI1p3", peers)):
        rates = [one.rate for one in found]
        cpu = statistics.median(one.cpu for one in found)
        print(
            f"{name:13} {statistics.median(rates):7.0f} validations/s  ({min(rates):.0f} to {max(rates):.0f})"
            f"  {cpu:.2f} CPU ms each, {1000 / cpu:.0f} per CPU-second"
        )
    ratio = statistics.median(one.rate for one in mine) / statistics.median(one.rate for one in peers)
    print(f"ratio {ratio:.2f}; key set fetched {fetches} time(s) for {sum(len(x) for x in (mine,)) * options.launches}")


if __name__ == "__main__":
    main()
