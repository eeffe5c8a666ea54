"""The ASGI application: every part's calls, the static files, one shape for errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from atomic_guide import errors
from atomic_guide.regions.here import NOWHERE, Here
from atomic_guide.web.front import front_route
from atomic_guide.web.problems import on_guide_error, on_http_exception, on_unexpected
from atomic_guide.web.routing import Declared, routes
from atomic_guide.web.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from atomic_guide.web.tool import Tool

STATIC = Path(__file__).parent / "static"


class _ImmutableFiles(StaticFiles):
    """Front-end files: below `assets/` names carry a hash of the content, so those never change."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        hashed = Path(str(args[0])).parent.name == "assets"
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


class _Application(Starlette):
    """Starlette, with calls of fixed addresses found in one look.

    Its router asks one route after another, and its middleware wraps `send` and `receive` anew at three layers.
    """

    def fix(self, table: Iterable[BaseRoute]) -> None:
        """Answer routes whose addresses hold no parameter without the router, which has the rest and wrong methods."""
        self._fixed = {
            (method, route.path): route.endpoint
            for route in table
            if isinstance(route, Route) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._fixed.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None or scope.get("root_path"):
            await super().__call__(scope, receive, send)
            return
        scope.update(app=self, endpoint=endpoint, path_params={})
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except errors.GuideError as error:
            response = await on_guide_error(request, error)
        except HTTPException as error:
            response = await on_http_exception(request, error)
        except Exception as error:
            await (await on_unexpected(request, error))(scope, receive, send)
            raise
        await response(scope, receive, send)


def create_app(
    tool: Tool,
    declared: list[Declared],
    extra: list[BaseRoute] | None = None,
    settings: ServerSettings | None = None,
    regions: Here = NOWHERE,
) -> Starlette:
    """The application over a tool; `declared` are the calls of every part that this process serves.

    `extra` are the routes of the practice LMS, where there is one.
    """
    table: list[BaseRoute] = [*routes(declared), *(extra or []), front_route(practice=bool(extra))]
    if STATIC.is_dir():
        table.append(Mount("/static", _ImmutableFiles(directory=STATIC)))
    app = _Application(
        routes=table,
        exception_handlers={
            errors.GuideError: on_guide_error,
            HTTPException: on_http_exception,
            Exception: on_unexpected,
        },
    )
    app.router.redirect_slashes = False
    app.fix(table)
    app.state.tool = tool
    app.state.regions = regions
    app.state.declared = declared
    app.state.body_bytes = (settings or ServerSettings()).body_bytes
    return app
