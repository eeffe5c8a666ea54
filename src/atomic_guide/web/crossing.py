"""Requests that have come to the wrong region: told so, or sent on, at most once.

A page that a browser opens (a login, a launch) is sent on with 307, which keeps method and body. A call that carries
a token is answered with 421 and the region's address instead: browsers and HTTP libraries drop the token where a
redirect leads to another host, so that it could only end in 401.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from atomic_guide import errors
from atomic_guide.regions.routing import Asked, Choice, Sight

if TYPE_CHECKING:
    from starlette.datastructures import URL
    from starlette.requests import Request

    from atomic_guide.regions.here import Here
    from atomic_guide.regions.settings import RegionSettings, Role

HOP = "atomic-guide-hop"
"""The query parameter that says which region has sent a request on: who carries it is sent no further."""

REGION = "Atomic-Guide-Region"
"""The header that says which region has answered."""

BEGAN = "region"
"""The query parameter of an upload's address: the region where its bytes lie."""

COUNTRY = "atomic_guide.country"
"""Where a request's scope has the country that a trusted proxy has named."""

_ROLES: tuple[tuple[str, Role], ...] = (("/api/video/upload", "media"), ("/api/analytics", "analytics"))
"""The work of a route, by how its path begins; else it is `web`."""


def sighted(here: Here, request: Request) -> Sight:
    """Where a request comes from."""
    return here.see(request.scope.get(COUNTRY), request.client.host if request.client else "")


def role_of(path: str) -> Role:
    """The role that a region needs to answer a path."""
    return next((role for start, role in _ROLES if path == start or path.startswith(f"{start}/")), "web")


def check_region(here: Here, request: Request, tenant: str) -> None:
    """Raise `WrongRegion` or `RegionAway` unless a call of a tenant's session is answered here."""
    if here.own is None:
        return
    role = role_of(request.url.path)
    began = request.query_params.get(BEGAN, "") if role == "media" and not here.shares_uploads else ""
    # What names no region of ours has begun nowhere.
    began = began if here.settings.named(began) else ""
    asked = Asked(zone=here.zone_of(tenant), role=role, began=began, stays=bool(began))
    _refuse_elsewhere(here, sighted(here, request), asked)


def check_socket(here: Here, address: str, tenant: str, began: str) -> None:
    """Raise as `check_region` unless a socket is opened here: where its ticket came from, as long as that is there."""
    if here.own is not None:
        asked = Asked(zone=here.zone_of(tenant), began=began)
        _refuse_elsewhere(here, here.see(None, address), asked)


def onward(here: Here, request: Request, zone: str | None, *, opens: bool = False) -> Response | None:
    """A redirect to the region that answers a page, None where that is here. Raises `RegionAway` where none is there.

    `opens`: it is the login of a visit, which goes to the nearest region.
    """
    if here.own is None:
        return None
    seen = sighted(here, request)
    if opens:
        here.seen[seen.order[0].name, seen.by] += 1
    asked = Asked(zone=zone, opens=opens, hopped=HOP in request.query_params)
    choice = here.choose(seen, asked)
    if choice.region is None:
        raise _away(here, asked, choice)
    if choice.region == here.own:
        return None
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", REGION: choice.region.name}
    return RedirectResponse(_at(choice.region, request.url, here.own), 307, headers)


def _refuse_elsewhere(here: Here, seen: Sight, asked: Asked) -> None:
    choice = here.choose(seen, asked)
    if choice.region is None:
        raise _away(here, asked, choice)
    if choice.region != here.own:
        raise errors.WrongRegion(
            f"region {choice.region.name} answers this; send it to {choice.region.address}",
            details={"region": choice.region.name, "address": choice.region.address, "reason": choice.reason},
        )


def _away(here: Here, asked: Asked, choice: Choice) -> errors.RegionAway:
    """The error where no region may or can answer."""
    probes = here.settings.probes
    if asked.stays and choice.reason == "began away":
        names = [asked.began]
        said = f"the upload lies in region {asked.began}, which is away; go on later, or begin it again"
    else:
        names = [one.name for one in here.able(asked.zone, asked.role)] if asked.zone is not None else []
        said = f"none of the regions that may answer this is there: {', '.join(names) or 'none keeps its zone'}"
    # It is gone back to after so many good probes, at the soonest.
    return errors.RegionAway(said, details={"regions": names}, retry_after=max(1.0, probes.up * probes.seconds))


def _at(region: RegionSettings, url: URL, own: RegionSettings) -> str:
    """The same address at another region, marked with who has sent it on."""
    query = "&".join(part for part in (url.query, urlencode({HOP: own.name})) if part)
    return f"{region.address}{url.path}?{query}"
