"""A platform for tests: real HTTP on loopback, real RSA keys, strict about what it receives."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import itertools
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP = "https://purl.imsglobal.org/spec/lti-dl/claim/"
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
CLIENT = "client-1"
DEPLOYMENT = "deployment-1"
DROP: Any = object()


@functools.cache
def _pool() -> Iterator[RSAKey]:
    return itertools.cycle([RSAKey.generate_key(2048) for _ in range(6)])


class FakePlatform:
    """Holds keys, members and a grade book; counts what is fetched; `problems` collects what a tool did wrong."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, RSAKey] = {}
        self.kid = ""
        self.rotate()
        self.fetches = 0
        self.keyset_delay = 0.0
        self.keyset_answer: Response | None = None
        self.tool_keys: Any = None
        self.token_audience: str | None = None
        self.tokens: dict[str, set[str]] = {}
        self.token_requests = 0
        self.token_life = 3600
        self.members: list[dict[str, Any]] = []
        self.link_header = '<{url}>; rel="next"'
        self.pages = 0
        self.items: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.teachers: set[str] = set()
        self.registrations: list[tuple[dict[str, Any], str | None]] = []
        self.discovery: dict[str, Any] = {}
        self.problems: list[str] = []

    @property
    def issuer(self) -> str:
        return self.url

    def rotate(self, *, keep: bool = False) -> None:
        """A new signing key; the old ones are no longer published unless kept."""
        self.kid = f"key-{secrets.token_hex(4)}"
        # Finding primes takes 100 ms: the keys of all tests come from a small pool, under new names.
        key = next(_pool())
        self.keys = {**(self.keys if keep else {}), self.kid: key}

    def claims(self, nonce: str, target: str, /, **changes: Any) -> dict[str, Any]:
        """The claims of a good launch; a change to DROP leaves the claim out."""
        now = int(time.time())
        made = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "user-1",
            "nonce": nonce,
            "iat": now,
            "exp": now + 60,
            "name": "Ada Lovelace",
            f"{LTI}version": "1.3.0",
            f"{LTI}message_type": "LtiResourceLinkRequest",
            f"{LTI}deployment_id": DEPLOYMENT,
            f"{LTI}target_link_uri": target,
            f"{LTI}resource_link": {"id": "link-1", "title": "Room"},
            f"{LTI}roles": [f"{MEMBERSHIP}#Learner"],
            f"{LTI}context": {"id": "course-1", "title": "Waves and Optics 101"},
            **changes,
        }
        return {name: value for name, value in made.items() if value is not DROP}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token; header members replace the good ones, DROP leaves them out."""
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT", **header}
        head = {name: value for name, value in head.items() if value is not DROP}
        registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        return jws.serialize_compact(head, json.dumps(claims), self.keys[self.kid], registry=registry)

    def sign_with_secret(self, claims: dict[str, Any]) -> str:
        """The attack of a token signed by HS256 with the public key as the secret."""
        secret = self.keys[self.kid].as_pem(private=False)
        parts = [{"alg": "HS256", "kid": self.kid}, claims]
        signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        mark = hmac.digest(secret, signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"

    async def key_set(self, _request: Request) -> Response:
        self.fetches += 1
        if self.keyset_delay:
            await asyncio.sleep(self.keyset_delay)
        if self.keyset_answer is not None:
            return self.keyset_answer
        listed = [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        return JSONResponse({"keys": listed})

    async def token(self, request: Request) -> Response:
        self.token_requests += 1
        form = await request.form()
        try:
            claims = jwt.decode(str(form["client_assertion"]), self.tool_keys, algorithms=["RS256"]).claims
        except Exception as error:  # noqa: BLE001 - whatever is wrong is the tool's fault
            self.problems.append(f"assertion: {error!r}")
            return JSONResponse({"error": "invalid_client"}, 401)
        expected = {"iss": CLIENT, "sub": CLIENT, "aud": self.token_audience or f"{self.url}/token"}
        wrong = [name for name, value in expected.items() if claims.get(name) != value]
        if wrong or claims["exp"] <= time.time() or not claims.get("jti"):
            return JSONResponse({"error": "invalid_client", "error_description": f"wrong {wrong}"}, 400)
        value = secrets.token_hex(8)
        self.tokens[value] = set(str(form["scope"]).split())
        return JSONResponse({"access_token": value, "token_type": "Bearer", "expires_in": self.token_life})

    def _authorised(self, request: Request, scope: str) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return any(one.endswith(scope) for one in self.tokens.get(token, ()))

    async def roster(self, request: Request) -> Response:
        if not self._authorised(request, "contextmembership.readonly"):
            return Response(status_code=401)
        if "membershipcontainer" not in request.headers.get("accept", ""):
            self.problems.append("roster: Accept")
        self.pages += 1
        start = int(request.query_params.get("start", "0"))
        body = {"id": "roster", "members": self.members[start : start + 2]}
        headers = {}
        if start + 2 < len(self.members):
            headers["Link"] = self.link_header.format(url=f"{self.url}/roster?start={start + 2}")
        return JSONResponse(body, headers=headers)

    async def line_items(self, request: Request) -> Response:
        if not self._authorised(request, "scope/lineitem"):
            return Response(status_code=401)
        if request.method == "GET":
            return JSONResponse(self.items)
        if "lineitem+json" not in request.headers["content-type"]:
            self.problems.append("line item: Content-Type")
        item = {**await request.json(), "id": f"{self.url}/items/{len(self.items) + 1}/lineitem?type_id=1"}
        self.items.append(item)
        return JSONResponse(item, 201)

    async def score(self, request: Request) -> Response:
        if not self._authorised(request, "scope/score"):
            return Response(status_code=401)
        if request.headers["content-type"] != "application/vnd.ims.lis.v1.score+json":
            self.problems.append("score: Content-Type")
        score = await request.json()
        if request.query_params.get("type_id") != "1":
            self.problems.append("score: the query of the line item is lost")
        if score["userId"] in self.teachers:
            return JSONResponse({"reason": "not a student"}, 400)
        self.scores.append(score)
        return Response(status_code=204)

    async def configuration(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "registration_endpoint": f"{self.url}/register",
                **self.discovery,
            }
        )

    async def register(self, request: Request) -> Response:
        sent = await request.json()
        self.registrations.append((sent, request.headers.get("authorization")))
        part = {"https://purl.imsglobal.org/spec/lti-tool-configuration": {"deployment_id": "dynamic-1"}}
        return JSONResponse({**sent, "client_id": f"dynamic-{len(self.registrations)}", **part}, 201)

    async def redirect(self, request: Request) -> Response:
        return Response(status_code=302, headers={"Location": request.query_params["to"]})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/jwks", self.key_set),
                Route("/token", self.token, methods=["POST"]),
                Route("/roster", self.roster),
                Route("/items", self.line_items, methods=["GET", "POST"]),
                Route("/items/{item}/lineitem/scores", self.score, methods=["POST"]),
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/register", self.register, methods=["POST"]),
                Route("/redirect", self.redirect),
            ]
        )


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serve an application on a free loopback port, over TLS with uvicorn's options for it; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", **options)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield f"{'https' if config.is_ssl else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)
        listener.close()


@contextlib.asynccontextmanager
async def fake_platform() -> AsyncIterator[FakePlatform]:
    """A platform that is being served."""
    platform = FakePlatform()
    async with serving(platform.app()) as url:
        platform.url = url
        yield platform
