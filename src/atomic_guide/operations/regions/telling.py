"""What commands and the operators' calls tell of regions: one form for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.regions.countries import countries
from atomic_guide.regions.geography import distance_km, nearest_first
from atomic_guide.regions.routing import Asked, choose, sight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from atomic_guide.operations.regions.controls import Drain
    from atomic_guide.regions.health import Standing
    from atomic_guide.regions.settings import RegionSettings, RegionsSettings


class Told(msgspec.Struct, frozen=True):
    """A region: as it is declared, and how it is. `well` is null where nobody has asked it."""

    name: str
    here: bool
    well: bool | None
    why: str
    ms: float | None
    since: str | None
    drained: bool
    drained_by: str
    drained_why: str
    address: str
    zones: tuple[str, ...]
    roles: tuple[str, ...]
    countries: tuple[str, ...]
    coordinates: tuple[float, float]
    primary: tuple[str, ...]
    replicas: tuple[str, ...]
    store: str
    cache_nodes: tuple[str, ...]


class Step(msgspec.Struct, frozen=True):
    """A region in the order in which a country's requests go to them."""

    region: str
    km: int
    names_it: bool
    away: bool


class Where(msgspec.Struct, frozen=True):
    """Where a country's logins go: for everybody, and for tenants of each zone."""

    country: str
    name: str
    order: list[Step]
    zones: dict[str, str | None]


def told(settings: RegionsSettings, own: str, standings: Mapping[str, Standing], drains: Iterable[Drain]) -> list[Told]:
    """Every region, in the order of the settings."""
    drained = {drain.region: drain for drain in drains}
    found = []
    for region in settings.declared:
        standing, drain = standings.get(region.name), drained.get(region.name)
        here = region.name == own
        asked = standing is not None and standing.at > 0
        found.append(
            Told(
                name=region.name,
                here=here,
                # Whoever tells of it is there.
                well=True if here else standing.well if asked and standing is not None else None,
                why=standing.why if standing is not None else "",
                ms=standing.ms if asked and standing is not None else None,
                since=iso(standing.since) if standing is not None and standing.since else None,
                drained=drain is not None,
                drained_by=drain.who if drain is not None else "",
                drained_why=drain.why if drain is not None else "",
                coordinates=(region.point.latitude, region.point.longitude),
                **_declared(region),
            )
        )
    return found


def where(settings: RegionsSettings, country: str, away: Collection[str] = ()) -> Where:
    """Where a country's logins go. Raises `Invalid` for a code that is no country's, `NotFound` without regions."""
    found = countries().get(country.upper())
    if found is None:
        raise Invalid(f"{country} is no country; write an ISO 3166 code such as DE or US")
    if not settings.declared:
        raise NotFound("no region is declared; declare them in regions.declared")
    seen = sight(settings, found.code, "header")
    order = [
        Step(region.name, round(km), found.code in region.countries, region.name in away)
        for region, km in nearest_first(settings.declared, found.code)
    ]
    zones: dict[str, str | None] = {}
    for zone in sorted({zone for region in settings.declared for zone in region.zones}):
        choice = choose(seen.order[0], seen, Asked(zone, opens=True), away)
        # The first of the order answers what nobody else may, but only for the zones that it keeps.
        kept = choice.region if choice.region is not None and choice.region.name not in away else None
        zones[zone] = kept.name if kept is not None else None
    return Where(found.code, found.name, order, zones)


def apart_km(one: RegionSettings, other: RegionSettings) -> int:
    """How far apart two regions are, in kilometres."""
    return round(distance_km(one.point, other.point))


def _declared(region: RegionSettings) -> dict[str, Any]:
    names = ("address", "zones", "roles", "countries", "primary", "replicas", "store", "cache_nodes")
    return {name: getattr(region, name) for name in names}
