"""Which region answers a request. Pure: from what is known to a choice with its reason, which others carry out.

What is asked for decides, in this order:

1. What began somewhere stays there: an upload whose bytes lie in a region, a socket whose ticket came from it. Where
   that region is away, a socket begins again elsewhere; an upload has to wait for it.
2. A region answers for the zones that it may keep, and does the work that its roles name. The zone is the tenant's:
   no country, and no failure, lets another one answer.
3. Where a request may be answered where it has come, it is; only a login goes on to the nearest region, because the
   whole visit follows it.
4. Else it goes to the nearest region that may answer and is well. One that was sent here by another region is sent
   no further: two regions that disagree must not send somebody to and fro.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from atomic_guide.regions.countries import countries
from atomic_guide.regions.geography import distance_km, nearest_first
from atomic_guide.regions.settings import RegionSettings, RegionsSettings, Role

Reason = Literal[
    "here", "nearest", "zone", "role", "failover", "began", "began away", "zone away", "zone unknown", "loop"
]
By = Literal["header", "address", "default"]


class Sight(NamedTuple):
    """Where a request comes from, and how that is known; `order` are the regions, the nearest first."""

    country: str | None
    by: By
    order: tuple[RegionSettings, ...]


class Asked(NamedTuple):
    """What is asked for: whose zone (None: nobody's yet), which work, and how it came.

    `began` names the region where it began, which `stays` if nothing else will do. `opens` is the login of a visit.
    `hopped`: another region has sent it here.
    """

    zone: str | None = None
    role: Role = "web"
    began: str = ""
    stays: bool = False
    opens: bool = False
    hopped: bool = False


class Choice(NamedTuple):
    """The region that answers, and why; None where none may or can at the moment."""

    region: RegionSettings | None
    reason: Reason


def sight(settings: RegionsSettings, country: str | None, by: By) -> Sight:
    """Where a request of a country (or of nobody knows where) goes, the nearest region first."""
    if country is not None and country in countries():
        return Sight(country, by, tuple(region for region, _ in nearest_first(settings.declared, country)))
    first = settings.fallback
    if first is None:
        return Sight(None, "default", ())
    return Sight(None, "default", (first, *_by_distance(settings.declared, first)))


def choose(own: RegionSettings, seen: Sight, asked: Asked, away: Collection[str]) -> Choice:
    """The region for a request that has come to `own`; `away` are the names of those that are not well or drained."""
    keeping = [one for one in seen.order if asked.zone is None or asked.zone in one.zones]
    if not keeping:
        return Choice(None, "zone unknown")
    if asked.began and asked.began != own.name:
        found = next((one for one in keeping if one.name == asked.began), None)
        if found is not None and found.name not in away:
            return Choice(None, "loop") if asked.hopped else Choice(found, "began")
        if asked.stays:
            return Choice(None, "began away")
    able = [one for one in keeping if asked.role in one.roles]
    here = own in able
    if here and (asked.hopped or asked.began == own.name or not asked.opens):
        return Choice(own, "here")
    return _elsewhere(own, able, asked, away)


def _elsewhere(own: RegionSettings, able: Sequence[RegionSettings], asked: Asked, away: Collection[str]) -> Choice:
    well = [one for one in able if one.name not in away]
    if not well:
        # Whoever asks has come here, so that this region at least is there.
        return Choice(own, "here") if own in able else Choice(None, "zone away")
    if well[0] == own:
        return Choice(own, "here" if able[0] == own else "failover")
    if asked.hopped:
        return Choice(None, "loop")
    return Choice(well[0], "failover" if well[0] != able[0] else _why(own, asked))


def _why(own: RegionSettings, asked: Asked) -> Reason:
    """Why a request does not stay where it has come, though nothing is away."""
    if asked.zone is not None and asked.zone not in own.zones:
        return "zone"
    return "role" if asked.role not in own.roles else "nearest"


def _by_distance(regions: Sequence[RegionSettings], first: RegionSettings) -> list[RegionSettings]:
    others = [one for one in regions if one != first]
    return sorted(others, key=lambda one: (distance_km(one.point, first.point), one.name))
