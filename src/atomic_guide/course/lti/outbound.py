"""The only way out: calls to an LMS, bounded in time and size, never to machines that are not its own.

A registration names addresses, and some of them come from strangers (dynamic registration). So every name is
resolved here, every resolved address is checked, and the connection goes to the checked address itself: a name
that resolves differently a moment later changes nothing. TLS still verifies the name. Connections are not kept:
a kept one would be chosen by address, and two names on one address need two certificates.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple

import httpx
import msgspec

from atomic_guide import errors, tracing
from atomic_guide.course.lti.addresses import Reach, origin_of, problem_with
from atomic_guide.course.lti.limits import ANSWER_BYTES
from atomic_guide.course.lti.settings import LmsSettings
from atomic_guide.resilience import Guard, GuardSettings, Refused

Resolver = Callable[[str, int], Awaitable[list[str]]]

_REDIRECTS = 3
_CONNECTIONS = 20
_ADDRESSES = 3
_USER_AGENT = "atomic-guide"
_SERVER_ERROR = 500
_WHOLE = 4
"""A whole call takes at most so many steps' time: name, connection, head, body."""


class OutboundFailed(errors.Unavailable):
    """An LMS could not be called, or answered with what cannot be used; the message says which and why."""

    code = "LMS_UNAVAILABLE"
    machine = False


class _Unreached(Exception):
    """Nobody was reached, or nobody answered in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Reply(NamedTuple):
    """An answer that was read to its end."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `OutboundFailed`."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"{self.url} did not answer with JSON"
            raise OutboundFailed(message) from error


async def resolve(host: str, port: int) -> list[str]:
    """The numeric addresses of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class _Guard(httpx.AsyncBaseTransport):
    """Sends each request to an address that was checked."""

    def __init__(self, reach: Reach, resolver: Resolver, seconds: float) -> None:
        self._reach = reach
        self._resolver = resolver
        self._seconds = seconds
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        wrong = problem_with(str(request.url), self._reach)
        if wrong:
            message = f"{request.url} is not called: {wrong}"
            raise OutboundFailed(message)
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._checked_addresses(host, port, str(request.url))
        named = request.url
        request.extensions = {**request.extensions, "sni_hostname": host}
        for address in addresses[:-1]:
            request.url = named.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # A name often has an IPv6 address that cannot be reached from here.
                continue
        request.url = named.copy_with(host=addresses[-1])
        return await self._inner.handle_async_request(request)

    async def _checked_addresses(self, host: str, port: int, url: str) -> list[str]:
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._resolver(host, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            message = f"{url}: the name {host} is not known"
            raise OutboundFailed(message) from error
        for address in found:
            if not self._reach.allows(ip_address(address.partition("%")[0])):
                message = f"{url} is not called: {host} is {address}, inside a private network; {self._reach.remedy}"
                raise OutboundFailed(message)
        if not found:
            message = f"{url}: the name {host} has no address"
            raise OutboundFailed(message)
        return found[:_ADDRESSES]

    async def aclose(self) -> None:
        await self._inner.aclose()


Service = Literal["keys", "tokens", "grades", "roster", "registration"]
"""What an LMS is asked for; each is a dependency of its own, at each host."""

_HOSTS = 1000
"""Guards that are remembered, by service and host; the oldest is forgotten first, and begins closed again."""


class Outbound:
    """Calls to platforms. `seconds` bounds each step and a guard the whole call, `limit` bytes the answer.

    `guards` are those of services and hosts that were called, the newest last.
    """

    def __init__(
        self, reach: Reach, seconds: float, limit: int, resolver: Resolver = resolve, bounds: LmsSettings | None = None
    ) -> None:
        self.reach = reach
        self.guards: dict[tuple[Service, str], Guard] = {}
        self._bounds = bounds or LmsSettings()
        self._seconds = seconds
        self._limit = limit
        self._client = httpx.AsyncClient(
            transport=_Guard(reach, resolver, seconds),
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": _USER_AGENT},
        )

    def guard(self, service: Service, url: str) -> Guard:
        """The guard of a service at the host of an address."""
        try:
            key = service, origin_of(url)
        except ValueError:
            key = service, ""
        if (found := self.guards.get(key)) is None:
            if len(self.guards) >= _HOSTS:
                del self.guards[next(iter(self.guards))]
            name = f"{self.reach.whose}'s {service} at {key[1]}"
            bounds: GuardSettings = getattr(self._bounds, service)
            seconds = min(bounds.seconds, _WHOLE * self._seconds)
            found = self.guards[key] = Guard(name, msgspec.structs.replace(bounds, seconds=seconds))
        return found

    async def get(self, url: str, headers: Mapping[str, str] | None = None, service: Service = "keys") -> Reply:
        """GET, following at most three redirects on the same host. Raises `OutboundFailed`."""
        target = url
        for _ in range(_REDIRECTS + 1):
            reply = await self._send("GET", target, headers, None, service)
            if reply.status not in {301, 302, 303, 307, 308}:
                return reply
            onward = str(httpx.URL(target).join(reply.headers.get("location", "")))
            try:
                same = origin_of(onward) == origin_of(target)
            except ValueError:
                same = False
            if not same:
                message = f"{url} redirects to another host; give the address where it ends"
                raise OutboundFailed(message)
            target = onward
        message = f"{url} redirects in circles"
        raise OutboundFailed(message)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], service: Service = "tokens") -> Reply:
        """POST; a redirect is an answer like any other. Raises `OutboundFailed`."""
        return await self._send("POST", url, headers, body, service)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, service: Service
    ) -> Reply:
        with tracing.span(f"LMS {method}", "client", http__request__method=method) as span:
            guard = self.guard(service, url)
            try:
                reply = await self._guarded(guard, method, url, headers, body)
            except _Unreached as error:
                # Only what is asked for, and never reached anybody, is asked for again.
                if method != "GET" or not await guard.may_retry():
                    raise OutboundFailed(error.message) from error
                try:
                    reply = await self._guarded(guard, method, url, headers, body)
                except _Unreached as again:
                    raise OutboundFailed(again.message) from again
            span.set(http__response__status_code=reply.status)
            return reply

    async def _guarded(
        self, guard: Guard, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> Reply:
        try:
            async with guard.call():
                try:
                    reply = await self._answered(method, url, headers, body)
                except _Unreached:
                    guard.failed()
                    raise
        except Refused as error:
            raise OutboundFailed(error.message) from error
        except TimeoutError as error:
            message = f"{url} did not answer within {guard.settings.seconds:g} s"
            raise OutboundFailed(message) from error
        # An LMS that answers with an error of its own is there, but is not helped by more calls.
        if reply.status >= _SERVER_ERROR:
            guard.failed()
        else:
            guard.succeeded()
        return reply

    async def _answered(self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None) -> Reply:
        try:
            async with self._client.stream(method, url, headers=dict(headers or {}), content=body) as answer:
                return Reply(url, answer.status_code, answer.headers, await self._read(answer, url))
        except httpx.TimeoutException as error:
            message = f"{url} did not answer within {self._seconds:g} s"
            raise _Unreached(message) from error
        except httpx.TransportError as error:
            message = f"{url} cannot be reached ({str(error) or type(error).__name__})"
            raise _Unreached(message) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            message = f"{url} cannot be reached ({str(error) or type(error).__name__})"
            raise OutboundFailed(message) from error

    async def _read(self, answer: httpx.Response, url: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > self._limit:
                message = f"{url} answered with more than {self._limit} bytes"
                ANSWER_BYTES.note(size)
                raise ANSWER_BYTES.over(OutboundFailed(message))
            parts.append(part)
        ANSWER_BYTES.note(size)
        return b"".join(parts)
