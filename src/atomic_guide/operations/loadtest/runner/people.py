"""The people of a test, and how they come in: as an LMS sends a browser in, with tokens that the tester signs.

The tester is the platform: the target knows its public key, registered for this test only. A launch is the whole way,
login, authentication request, signed token with the nonce of that login, one-time code, session.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import gevent
import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from atomic_guide.operations.loadtest.runner.client import UNEXPECTED, Client, Failed, Reply

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.plan import Order
    from atomic_guide.operations.loadtest.runner.recording import Recorder

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"

_LTI = "https://purl.imsglobal.org/spec/lti/claim/"
_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
_CODE = re.compile(rb'<meta name="atomic-guide-code" content="([^"]+)"')
_TOKEN_SECONDS = 300
"""Life of a launch's token; one that waits longer in a stalled server is refused, as a real one would be."""

_REFRESHED = (0.4, 0.75)
"""Between these shares of its life a session is refreshed: those who came in together not all together again."""

_GOLDEN = 0.618034
"""Multiples of it are spread evenly over 0 to 1, however many there are."""


class Person:
    """Somebody in a course, with a session once they have come in. The first of each course teaches it."""

    __slots__ = ("authorization", "course", "number", "renew_at", "teaches", "token", "user")

    def __init__(self, number: int, courses: int) -> None:
        self.number = number
        self.course = number % courses
        self.teaches = number < courses
        self.user = f"person-{number}"
        self.token = ""
        self.authorization = b""
        self.renew_at = 0.0


class Steps:
    """Times the steps of an arrival; the first one counts from when the arrival was due."""

    __slots__ = ("_name", "_recorder", "_since", "_stage", "thought")

    def __init__(self, recorder: Recorder, stage: int, name: str, due: float) -> None:
        self._recorder = recorder
        self._stage = stage
        self._name = name
        self._since: float | None = due
        self.thought = 0.0

    def run(self, name: str, call: Callable[[], Reply]) -> Reply:
        """Make a call that is a step. Raises `Failed`, counted."""
        began = time.monotonic() if self._since is None else self._since
        self._since = None
        try:
            reply = call()
        except Failed as error:
            self._recorder.failed(self._stage, f"{self._name}/{name}", error.kind, time.monotonic() - began)
            raise
        self._recorder.done(self._stage, f"{self._name}/{name}", time.monotonic() - began)
        return reply

    def think(self, seconds: float) -> None:
        """Do nothing, which no latency counts."""
        if seconds > 0:
            gevent.sleep(seconds)
            self.thought += seconds


class Entrance:
    """How people come in."""

    def __init__(self, client: Client, order: Order) -> None:
        self._client = client
        self._platform = order.platform
        self._key = RSAKey.import_key(order.key)
        self._kid = order.kid

    def enter(self, person: Person, steps: Steps, pause: Callable[[], float]) -> None:
        """Launch and take the session. Raises `Failed`."""
        begun = steps.run("init", lambda: self._init(person))
        asked = parse_qs(urlsplit(begun.first(b"location").decode("latin-1")).query)
        try:
            state, nonce = asked["state"][0], asked["nonce"][0]
        except (KeyError, IndexError) as error:
            raise Failed(UNEXPECTED) from error
        cookies = b"; ".join(one.partition(b";")[0] for one in begun.headers.get(b"set-cookie", []))
        steps.think(pause())
        page = steps.run("launch", lambda: self._launch(person, state, nonce, cookies))
        found = _CODE.search(page.body)
        if found is None:
            raise Failed(UNEXPECTED)
        steps.think(pause())
        self._take(person, steps.run("session", lambda: self._session(found[1])))

    def refresh(self, person: Person) -> None:
        """Take a new token before the old one ends. Raises `Failed`."""
        self._take(person, self._client.post("/api/session/refresh", JSON, b"", person.authorization).check(200))

    @staticmethod
    def is_due(person: Person, now: float) -> bool:
        """Whether somebody's session is to be refreshed."""
        return bool(person.token) and now >= person.renew_at

    def _init(self, person: Person) -> Reply:
        query = urlencode(
            {
                "iss": self._platform.issuer,
                "client_id": self._platform.client_id,
                "lti_deployment_id": self._platform.deployment_id,
                "login_hint": person.user,
                "target_link_uri": f"{self._platform.tool}/lti/launch",
            }
        )
        return self._client.get(f"/lti/init?{query}").check(302)

    def _launch(self, person: Person, state: str, nonce: str, cookies: bytes) -> Reply:
        header = {"alg": "RS256", "kid": self._kid, "typ": "JWT"}
        token = jwt.encode(header, self._claims(person, nonce), self._key)
        body = urlencode({"state": state, "id_token": token}).encode()
        return self._client.post("/lti/launch", FORM, body, b"Cookie: " + cookies + b"\r\n").check(200)

    def _session(self, code: bytes) -> Reply:
        return self._client.post("/api/session", JSON, b'{"code":"' + code + b'"}').check(200)

    @staticmethod
    def _take(person: Person, reply: Reply) -> None:
        try:
            entered: dict[str, Any] = msgspec.json.decode(reply.body)
            person.token = entered["token"]
            share = _REFRESHED[0] + (_REFRESHED[1] - _REFRESHED[0]) * (person.number * _GOLDEN % 1)
            person.renew_at = time.monotonic() + float(entered["expires_in"]) * share
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise Failed(UNEXPECTED) from error
        person.authorization = b"Authorization: Bearer " + person.token.encode() + b"\r\n"

    def _claims(self, person: Person, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        course = f"course-{person.course}"
        return {
            "iss": self._platform.issuer,
            "aud": self._platform.client_id,
            "sub": person.user,
            "nonce": nonce,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "name": f"Tester {person.number}",
            f"{_LTI}version": "1.3.0",
            f"{_LTI}message_type": "LtiResourceLinkRequest",
            f"{_LTI}deployment_id": self._platform.deployment_id,
            f"{_LTI}target_link_uri": f"{self._platform.tool}/lti/launch",
            f"{_LTI}resource_link": {"id": f"{course}-room", "title": "Course room"},
            f"{_LTI}roles": [f"{_ROLE}{'Instructor' if person.teaches else 'Learner'}"],
            f"{_LTI}context": {"id": course, "title": f"Load test, course {person.course}"},
        }
