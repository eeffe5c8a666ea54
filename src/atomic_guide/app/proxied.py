"""The application behind proxies: those that are trusted say who asks, and from which country."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from atomic_guide.web.crossing import COUNTRY
from atomic_guide.web.limits import is_in, networks

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Proxied:
    """The ASGI application around the ASGI application. `header` is the one with the country."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str], header: str) -> None:
        self._app: ASGIApp = cast("Any", ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(trusted)))
        self._trusted = networks(trusted)
        self._header = header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            # Before X-Forwarded-For is believed: afterwards the client is whom the proxy names.
            peer = scope["client"][0] if scope.get("client") else ""
            said = next((value for name, value in scope["headers"] if name == self._header), b"")
            if said and is_in(peer, self._trusted):
                scope[COUNTRY] = said.decode("latin-1")
        await self._app(scope, receive, send)
