"""Who calls a call of operators: whoever has their token, or a browser with an operator's session.

Commands and tests send `Authorization: Bearer` with the operators' token. The console has a cookie, which its script
cannot read and which browsers send from this site only (`SameSite=Strict`). A cookie comes along with whatever a page
asks for, so an act with it also needs what no other site can send: the header `Atomic-Guide-Console: 1`, and the
browser's own word, `Origin` or `Sec-Fetch-Site`, that a page of this very origin asks.

Wrong tokens are counted by address, and from the sixtieth in a minute on no token from there is looked at.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from atomic_guide import errors
from atomic_guide.engines.cache.memory import Memory
from atomic_guide.engines.rooms.budget import Rate
from atomic_guide.limit import Used
from atomic_guide.operations.operators.limits import REFUSED_TOKENS
from atomic_guide.operations.operators.model import TOKEN, Operator
from atomic_guide.web.limits import household, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from atomic_guide.clock import Clock
    from atomic_guide.operations.operators.sessions import OperatorSessions, Session
    from atomic_guide.operations.operators.settings import OperatorSettings

COOKIE = "atomic_guide_operator"
CONSOLE = "Atomic-Guide-Console"
"""The header that the console sends with every act. A page of another origin cannot, without asking us first."""

_ADDRESSES = 50_000
"""Addresses whose wrong tokens are remembered; about 150 bytes each."""
_READING = frozenset({"GET", "HEAD"})


class CrossSite(errors.Forbidden):
    """An act with a session's cookie that did not come from the console."""

    code = "NOT_FROM_THE_CONSOLE"


class HttpsNeeded(errors.Forbidden):
    """A cookie that anybody on the way could read."""

    code = "HTTPS_NEEDED"


class OperatorAccess:
    """Finds out who an operator's request is from, and whether it may be."""

    def __init__(
        self, sessions: OperatorSessions, clock: Clock, settings: OperatorSettings, token: str, ways: dict[str, object]
    ) -> None:
        """`ways` are those in which operators may sign in, for who is not."""
        self.sessions = sessions
        self._clock = clock
        self._token = token
        self._refused = Rate(settings.refused_tokens)
        self._addresses: Memory[str, float] = Memory(_ADDRESSES)
        self._ways = ways

    async def operator(self, request: Request) -> Operator:
        """Who calls. Raises `Unauthenticated`, `RateLimited`, and `CrossSite` for an act by another site."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if token or scheme:
            if scheme.lower() != "bearer" or not token:
                raise self.unauthenticated("send the operator token as 'Authorization: Bearer ...'")
            self.check_token(request, token)
            return TOKEN
        session = await self.session(request)
        if session is None:
            raise self.unauthenticated("sign in at /ops, or send the operator token as 'Authorization: Bearer ...'")
        if request.method not in _READING:
            check_from_console(request)
        return session.operator

    async def session(self, request: Request) -> Session | None:
        """The session of a request's cookie; None where there is none that is good."""
        cookie = cookie_of(request)
        return await self.sessions.find(cookie) if cookie else None

    def check_token(self, request: Request, token: str) -> None:
        """Raise `Unauthenticated` for what is not the operators' token, `RateLimited` after many from one address."""
        address = household(request.client.host if request.client else "")
        now = self._clock.monotonic()
        mark, wait = self._refused.spend(self._addresses.get(address, 0.0), now)
        if wait:
            raise REFUSED_TOKENS.over(
                errors.RateLimited("too many wrong operators' tokens came from your address", retry_after=wait)
            )
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            self._addresses[address] = mark
            raise self.unauthenticated("this is not the operator token")

    def unauthenticated(self, message: str) -> errors.Unauthenticated:
        """The refusal of who is not signed in, with the ways in."""
        return errors.Unauthenticated(message, details={"sign_in": self._ways})

    def used(self) -> Iterator[Used]:
        """What the busiest address has spent of a minute."""
        now = self._clock.monotonic()
        spent = max(0.0, max(self._addresses.values(), default=0.0) - now)
        yield Used(REFUSED_TOKENS, spent / 60 * self._refused.per_minute)


def check_from_console(request: Request) -> None:
    """Raise `CrossSite` unless a page of this origin asks, by the console's own script."""
    if request.headers.get(CONSOLE) != "1":
        raise CrossSite(
            f"an act with a session's cookie needs the header {CONSOLE}: 1; scripts send the operator token instead",
            details={"header": CONSOLE},
        )
    if not (request.headers.get("origin") or request.headers.get("sec-fetch-site")):
        raise CrossSite(
            "the browser does not say which page asks; an act with a session's cookie needs Origin or Sec-Fetch-Site",
            details={"header": "Origin"},
        )
    check_own_origin(request)


def check_own_origin(request: Request) -> None:
    """Raise `CrossSite` where the browser says that a page of another origin asks."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin.lower() != own_origin(request):
        raise CrossSite(
            "a page of another origin asked for this; open the console itself", details={"header": "Origin"}
        )
    if site is not None and site != "same-origin":
        raise CrossSite("another site asked for this; open the console itself", details={"header": "Sec-Fetch-Site"})


def own_origin(request: Request) -> str:
    """The origin that the request was sent to."""
    parts = urlsplit(str(request.url))
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_secure(request: Request) -> bool:
    """Whether the request came by https, also to a proxy that is trusted."""
    return request.url.scheme == "https"


def cookie_name(request: Request, name: str = COOKIE) -> str:
    """What a cookie is called: by https with the prefix that keeps other hosts and plain http from setting it."""
    return f"__Host-{name}" if is_secure(request) else name


def cookie_of(request: Request) -> str | None:
    """What the request's cookie holds; by plain http only on this computer."""
    if not is_secure(request) and not is_loopback(request.url.hostname or ""):
        return None
    return request.cookies.get(cookie_name(request)) or None


def set_cookie(request: Request, value: str, seconds: float, *, name: str = COOKIE, same_site: str = "Strict") -> str:
    """The header Set-Cookie that keeps or, with no seconds left, forgets something. Raises `HttpsNeeded`."""
    secure = is_secure(request)
    if not secure and not is_loopback(request.url.hostname or ""):
        raise HttpsNeeded(
            "the console keeps a session by https, or by http on this computer; open it at such an address. Behind a"
            " proxy that ends https, the setting server.trusted_proxies has its address"
        )
    parts = [f"{cookie_name(request, name)}={value}", "Path=/", "HttpOnly", f"SameSite={same_site}"]
    return "; ".join([*parts, f"Max-Age={max(0, int(seconds))}", *(["Secure"] if secure else [])])
