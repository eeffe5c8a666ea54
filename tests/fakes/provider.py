"""A provider of OpenID Connect for tests: real HTTP on loopback, real RSA keys, strict about what it receives.

`problems` collects what a tool did against the standards; a test that ends with any has failed.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.platform import DROP, _pool, serving

CLIENT = "atomic-guide-console"
SECRET = "secret of the client: 1%+"


class FakeProvider:
    """People sign in at once: `claims` says who it is, and a change of it what a bad provider would say."""

    def __init__(self) -> None:
        self.url = ""
        self.key = next(_pool())
        self.kid = f"key-{secrets.token_hex(4)}"
        self.methods = ["client_secret_basic", "client_secret_post"]
        self.described: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.signs_with = self.key
        self.token_answer: Response | None = None
        self.lets_in = True
        self.grants: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        self.descriptions = 0
        self.problems: list[str] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _describe(self, _request: Request) -> Response:
        self.descriptions += 1
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint_auth_methods_supported": self.methods,
                **self.described,
            }
        )

    async def _keys(self, _request: Request) -> Response:
        public = {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": "RS256"}
        return JSONResponse({"keys": [public]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        self.problems += [f"{name} is {asked.get(name)}" for name, value in wanted.items() if asked.get(name) != value]
        self.problems += [
            f"no {name}" for name in ("state", "nonce", "code_challenge") if len(asked.get(name, "")) < 40
        ]
        if "openid" not in asked.get("scope", "").split():
            self.problems.append("openid is not asked for")
        code = secrets.token_urlsafe(16)
        self.grants[code] = asked
        back = {"code": code} if self.lets_in else {"error": "access_denied"}
        query = urlencode({**back, "state": asked["state"], "iss": self.url})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        if self.token_answer is not None:
            return self.token_answer
        granted = self.grants.pop(form.get("code", ""), None)
        if granted is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != granted["code_challenge"]:
            self.problems.append("the verifier is not that of the challenge")
        if form.get("redirect_uri") != granted["redirect_uri"]:
            self.problems.append("another redirect_uri than before")
        if form.get("grant_type") != "authorization_code":
            self.problems.append(f"grant_type is {form.get('grant_type')}")
        self._check_client(request, form)
        return JSONResponse(
            {"access_token": "unused", "token_type": "Bearer", "id_token": self.token(granted["nonce"])}
        )

    def _check_client(self, request: Request, form: dict[str, str]) -> None:
        given = (form.get("client_id"), form.get("client_secret"))
        if "client_secret_basic" in self.methods:
            pair = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
            name, _, secret = pair.partition(":")
            given = (unquote(name), unquote(secret))
        if given != (CLIENT, SECRET):
            self.problems.append("the client is not who it says")

    def token(self, nonce: str) -> str:
        """The ID token of whoever has signed in."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "user-7",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "name": "Ada Lovelace",
            "email": "Ada@Example.edu",
            "email_verified": True,
            "groups": ["staff", "guide-operators"],
            **self.changes,
        }
        header = {"alg": "RS256", "kid": self.kid, **self.header}
        said = {name: value for name, value in claims.items() if value is not DROP}
        return jwt.encode(header, said, self.signs_with, algorithms=[str(header["alg"])])


@asynccontextmanager
async def provider() -> AsyncIterator[FakeProvider]:
    """A provider that listens until the block ends."""
    made = FakeProvider()
    async with serving(made.app()) as url:
        made.url = url
        yield made
