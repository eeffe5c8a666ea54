"""An LMS that signs launches, and the people of a tenant: they come in by a launch, write and read by way of a CDN."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from atomic_guide.app.rehearsal.plan import Tenant
from atomic_guide.course.lti.registration import Draft
from atomic_guide.errors import GuideError, Unavailable

CLIENT = "rehearsal"
_LTI = "https://purl.imsglobal.org/spec/lti/claim/"
_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
_REST_SECONDS = 0.5
"""How long the CDN leaves an origin alone that did not answer, before it tries it again."""
_ASK_SECONDS = 4.0


class Lms:
    """A platform with one key, whose key set is served on loopback."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048)
        self._server: asyncio.Server | None = None
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer every request with the key set."""
        listed = {"keys": [{**self._key.as_dict(private=False), "kid": CLIENT, "use": "sig", "alg": "RS256"}]}
        body = msgspec.json.encode(listed)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
                    await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    def draft(self, tenant: Tenant) -> Draft:
        """How a tenant is registered."""
        return Draft(
            issuer=self.url, client_id=CLIENT, auth_url=f"{self.url}/auth", token_url=f"{self.url}/token",
            keyset_url=f"{self.url}/keys", deployment_id=tenant.deployment,
        )  # fmt: skip

    def token(self, tenant: Tenant, nonce: str, target: str) -> str:
        """A signed launch of the tenant's instructor."""
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": tenant.person, "name": tenant.person, "nonce": nonce, "iat": now,
            "exp": now + 300,
            f"{_LTI}version": "1.3.0", f"{_LTI}message_type": "LtiResourceLinkRequest",
            f"{_LTI}deployment_id": tenant.deployment, f"{_LTI}target_link_uri": target,
            f"{_LTI}resource_link": {"id": "link"}, f"{_LTI}roles": [_ROLE],
            f"{_LTI}context": {"id": tenant.context, "title": tenant.title},
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": CLIENT, "typ": "JWT"}, claims, self._key)


class Cdn:
    """Sends each request to the nearest origin that answers, and follows where a region says another one answers.

    `origins` are the addresses of the regions by name.
    """

    def __init__(self, origins: dict[str, str]) -> None:
        self._origins = origins
        self._rests: dict[str, float] = {}
        self._client = httpx.AsyncClient(timeout=_ASK_SECONDS, trust_env=False)
        self.redirects = 0
        """The most hops that one request made."""

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def send(self, method: str, path: str, near: str, **request: Any) -> httpx.Response:
        """The answer of the nearest region that is there. Raises `Unavailable` where none of them answers."""
        order = sorted(self._origins, key=lambda name: name != near)
        now = time.monotonic()
        for name in [one for one in order if self._rests.get(one, 0.0) <= now] or order:
            try:
                return await self._sent(method, f"{self._origins[name]}{path}", **request)
            except (httpx.TransportError, OSError):
                self._rests[name] = time.monotonic() + _REST_SECONDS
        raise Unavailable("no region answers")

    async def post(self, url: str, **request: Any) -> httpx.Response:
        """The answer of one origin, for what a browser posts to it."""
        try:
            return await self._client.post(url, **request)
        except httpx.TransportError as error:
            raise Unavailable(f"{url} does not answer ({type(error).__name__})") from error

    async def _sent(self, method: str, url: str, **request: Any) -> httpx.Response:
        for hops in range(4):
            self.redirects = max(self.redirects, hops)
            answer = await self._client.request(method, url, **request)
            if answer.status_code == httpx.codes.TEMPORARY_REDIRECT:
                url = answer.headers["location"]
            elif answer.status_code == httpx.codes.MISDIRECTED_REQUEST:
                parts = urlsplit(url)
                found = answer.json()["error"]["details"]["address"]
                url = f"{found}{parts.path}" + (f"?{parts.query}" if parts.query else "")
            else:
                return answer
        raise Unavailable(f"sent on more often than once: {url}")


class Visit:
    """Somebody's visit: begun by a launch at the nearest region, with what was said and acknowledged."""

    def __init__(self, tenant: Tenant, lms: Lms, cdn: Cdn) -> None:
        self.tenant = tenant
        self._lms = lms
        self._cdn = cdn
        self._token = ""
        self.region = ""
        """Where the launch ended."""
        self.said: dict[str, str] = {}
        """What was acknowledged: content by id."""

    async def launch(self, near: str, target: str) -> None:
        """Come in through the LMS. Raises `Unavailable` saying where it ended."""
        fields = {"iss": self._lms.url, "client_id": CLIENT, "login_hint": secrets.token_hex(4),
                  "target_link_uri": target, "lti_deployment_id": self.tenant.deployment}  # fmt: skip
        begun = await self._cdn.send("GET", "/lti/init", near, params=fields,
                                     headers={"CF-IPCountry": self.tenant.country})  # fmt: skip
        if begun.status_code != httpx.codes.FOUND:
            raise _refused("the login", begun)
        query = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
        cookies = "; ".join(one.partition(";")[0] for one in begun.headers.get_list("set-cookie"))
        where = urlsplit(query["redirect_uri"])
        form = {"state": query["state"], "id_token": self._lms.token(self.tenant, query["nonce"], target)}
        page = await self._cdn.post(query["redirect_uri"], data=form, headers={"Cookie": cookies})
        code = re.search(r'name="atomic-guide-code" content="([^"]+)"', page.text)
        if page.status_code != httpx.codes.OK or code is None:
            raise _refused("the launch", page)
        origin = f"{where.scheme}://{where.netloc}"
        entered = await self._cdn.post(f"{origin}/api/session", json={"code": code[1]})
        if entered.status_code != httpx.codes.OK:
            raise _refused("the session", entered)
        self._token = entered.json()["token"]
        self.region = page.headers["atomic-guide-region"]

    async def say(self, near: str) -> httpx.Response:
        """Write a message; noted where it was acknowledged."""
        identifier = secrets.token_hex(8)
        content = f"{self.tenant.word} {identifier}"
        answer = await self.call("POST", "/api/chat/message", near, json={"id": identifier, "content": content})
        if answer.status_code in {httpx.codes.OK, httpx.codes.CREATED}:
            self.said[identifier] = content
        return answer

    async def read(self, near: str) -> httpx.Response:
        """Read the newest messages."""
        return await self.call("GET", "/api/chat/messages?limit=1", near)

    async def call(self, method: str, path: str, near: str, **request: Any) -> httpx.Response:
        """A call with the visit's token, by way of the CDN."""
        headers = {"Authorization": f"Bearer {self._token}", **request.pop("headers", {})}
        return await self._cdn.send(method, path, near, headers=headers, **request)

    async def everything(self, near: str) -> dict[str, str]:
        """Every message of the course: content by id. Raises `Unavailable` where they cannot be read."""
        found: dict[str, str] = {}
        after = 0
        while True:
            answer = await self.call("GET", f"/api/chat/messages?after={after}&limit=100", near)
            if answer.status_code != httpx.codes.OK:
                raise _refused("reading", answer)
            page = answer.json()["messages"]
            if not page:
                return found
            found |= {one["id"]: one["content"] for one in page}
            after = page[-1]["seq"]


def _refused(what: str, answer: httpx.Response) -> GuideError:
    return Unavailable(f"{what} of the rehearsal was answered with {answer.status_code}: {answer.text[:300]}")
