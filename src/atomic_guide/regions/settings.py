"""The regions of an installation: what each is, and what cannot be is refused at start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec

from atomic_guide.errors import ConfigurationError
from atomic_guide.regions.countries import Point, countries
from atomic_guide.setting import setting

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Role = Literal["web", "media", "analytics"]
ROLES: tuple[Role, ...] = get_args(Role)

DEFAULT_ZONES = ("default",)


class RegionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A region.

    `coordinates` are its latitude and longitude in degrees. `countries` are those whose requests it takes whatever the
    distances are. `zones` are the residency zones that it may keep. `primary` and `replicas` name the shards of
    `databases.servers` whose primary or whose replica stands there, `store` the declared store of its objects. `roles`
    are the work that it does: `web` answers pages and calls, `media` takes uploads and transcodes, `analytics` takes
    scores and counts. `cacheNodes` are its NATS servers. `address` is how browsers reach it, and it alone.
    """

    name: Name
    coordinates: tuple[float, float] | None = None
    countries: tuple[str, ...] = ()
    zones: tuple[Name, ...] = DEFAULT_ZONES
    primary: tuple[Name, ...] = ()
    replicas: tuple[Name, ...] = ()
    store: str = ""
    roles: tuple[Role, ...] = ROLES
    cache_nodes: tuple[Annotated[str, msgspec.Meta(pattern=r"^(nats|tls)://[^\s,]+$")], ...] = msgspec.field(
        default=(), name="cacheNodes"
    )
    address: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^/?#\s]+)?$")] = ""

    @property
    def point(self) -> Point:
        """Where it stands; `check_regions` has seen that it is given."""
        return Point(*(self.coordinates or (0.0, 0.0)))


class ProbeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it is found out which regions are well."""

    seconds: Annotated[
        float,
        setting("How often a region is asked, by one of the processes that look.", "s", ge=0.05, le=60),
    ] = 1.0
    timeout: Annotated[
        float,
        setting("How long its answer may take; the far side of the globe needs 0.3 s.", "s", ge=0.05, le=30),
    ] = 1.0
    down: Annotated[
        int,
        setting(
            "Failures in a row until requests go elsewhere; one lost packet must not move a region.",
            "probes",
            ge=1,
            le=100,
        ),
    ] = 3
    up: Annotated[
        int,
        setting("Answers in a row until they come back; what restarts often stays away.", "probes", ge=1, le=100),
    ] = 5


class RegionsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the installation stands in the world."""

    declared: Annotated[
        tuple[RegionSettings, ...],
        setting(
            "The regions: name, coordinates, countries, zones, primary, replicas, store, roles, cacheNodes, address of"
            " each. Which one a process stands in is `databases.region`.",
            "regions",
        ),
    ] = ()
    default: Annotated[
        str,
        setting("The region of requests from nobody knows where; none: the first one.", "region"),
    ] = ""
    country_header: Annotated[
        str,
        setting(
            "The CDN's header with the country of a request; believed of server.trusted_proxies only.",
            "header",
            pattern=r"^[A-Za-z0-9-]{1,64}$",
        ),
    ] = "CF-IPCountry"
    geo_file: Annotated[
        str | None,
        setting(
            "A file of MaxMind's format that knows the country of an address, for requests without the header; needs"
            " the package's extra `geo`.",
            "path",
        ),
    ] = None
    probes: ProbeSettings = ProbeSettings()

    def named(self, name: str) -> RegionSettings | None:
        """A region by its name."""
        return next((region for region in self.declared if region.name == name), None)

    @property
    def fallback(self) -> RegionSettings | None:
        """The region of requests from nobody knows where; None where none is declared."""
        return self.named(self.default) or next(iter(self.declared), None)


class ShardPlace(NamedTuple):
    """What `databases.servers` says of a shard: its zone, and the regions of its primary and its replicas."""

    name: str
    zone: str
    region: str
    replicas: tuple[str, ...]


class StorePlace(NamedTuple):
    """What `assets.stores` says of a store: its region, and the zone whose objects it holds."""

    region: str
    zone: str


class MainStore(NamedTuple):
    """What the settings say of the bucket that lectures are kept in."""

    name: str
    region: str
    zone: str


def check_regions(
    settings: RegionsSettings, shards: Iterable[ShardPlace], own: str, main: MainStore | None = None
) -> None:
    """Raise `ConfigurationError` for regions that cannot be as they are declared, naming the region and the remedy.

    `own` is the region that this process stands in, empty for a command that stands nowhere; `main` the bucket that
    keeps lectures, if one does.
    """
    if not settings.declared:
        if settings.default:
            raise _refused("default", f"{settings.default} is not declared; declare it in regions.declared")
        return
    names = [region.name for region in settings.declared]
    _once("regions.declared", names, "stands twice; give each region a name of its own")
    _once("regions.declared", (code for one in settings.declared for code in one.countries),
          "is a country of two regions; name it in one of them")  # fmt: skip
    _once("regions.declared", (one.address for one in settings.declared if one.address),
          "is the address of two regions; each needs one that leads to it alone")  # fmt: skip
    for region in settings.declared:
        _check_region(region, several=len(names) > 1)
    if settings.default and settings.default not in names:
        raise _refused("default", f"{settings.default} is not declared; there are {', '.join(names)}")
    if own and own not in names:
        raise ConfigurationError(f"setting databases.region: {own} is not declared; there are {', '.join(names)}")
    places = {shard.name: shard for shard in shards}
    _check_databases(settings, places)
    zones = {shard.zone for shard in places.values()}
    _check_work(settings, zones)
    here = settings.named(own)
    for zone in sorted(zones & set(here.zones if here is not None else ()) - {main.zone if main is not None else ""}):
        _check_media(zone, [region for region in settings.declared if zone in region.zones])


def check_main_store(settings: RegionsSettings, main: MainStore, region: str, kept: set[str]) -> None:
    """Raise `ConfigurationError` where the main store of a process in `region` may not hold what its shards are about.

    `kept` are the zones of those shards; none: files, whose zone is `default`.
    """
    if foreign := sorted((kept or set(DEFAULT_ZONES)) - {main.zone}):
        raise ConfigurationError(
            f"setting assets.main: {main.name} is of zone {main.zone}, and lectures of zone {', '.join(foreign)} would"
            " be kept there; name a bucket of their zone, with processes of their own for each zone"
        )
    making = [one.name for one in settings.declared if "media" in one.roles and main.zone in one.zones]
    right = making or [region]
    if main.region and any(right) and main.region not in right:
        raise ConfigurationError(
            f"setting assets.main: {main.name} stands in region {main.region}, and lectures of its zone are made in"
            f" {' and '.join(right)}; name a bucket there"
        )


def check_stores(settings: RegionsSettings, stores: Mapping[str, StorePlace]) -> None:
    """Raise `ConfigurationError` where a region names a store that is not declared, or that is not its own."""
    for region in settings.declared:
        if not region.store:
            continue
        place = stores.get(region.store)
        if place is None:
            known = ", ".join(stores) or "none"
            raise _refused("declared", f"{region.name} names the store {region.store}; assets.stores declares {known}")
        if place.region not in {"", region.name} or place.zone not in region.zones:
            raise _refused(
                "declared",
                f"{region.name} names the store {region.store}, which assets.stores has in region"
                f" {place.region or '-'} and zone {place.zone}; say the same in both",
            )


def primaries(settings: RegionsSettings) -> dict[str, str]:
    """The region of each shard's primary, where a region names it."""
    return {shard: region.name for region in settings.declared for shard in region.primary}


def _check_region(region: RegionSettings, *, several: bool) -> None:
    if region.coordinates is None:
        raise _refused(
            "declared", f"{region.name} has no coordinates; give `coordinates = [latitude, longitude]` in degrees"
        )
    latitude, longitude = region.coordinates
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # noqa: PLR2004 - degrees
        raise _refused(
            "declared",
            f"{region.name} lies at {latitude:g}, {longitude:g}; the latitude is from -90 to 90 degrees, the longitude"
            " from -180 to 180",
        )
    for code in region.countries:
        if code not in countries():
            raise _refused("declared", f"{region.name} names the country {code}; write ISO 3166 codes such as DE or US")
    for field, values in (("roles", region.roles), ("zones", region.zones)):
        if not values:
            raise _refused("declared", f"{region.name} has no {field}; name at least one, or leave the key out")
    if several and not region.address:
        raise _refused("declared", f"{region.name} has no address; the other regions send browsers and probes to it")


def _check_databases(settings: RegionsSettings, places: dict[str, ShardPlace]) -> None:
    named = [(region, shard, "primary") for region in settings.declared for shard in region.primary]
    _once("regions.declared", (shard for _, shard, _ in named),
          "has its primary in two regions; writes go to one, the other has a replica")  # fmt: skip
    named += [(region, shard, "replicas") for region in settings.declared for shard in region.replicas]
    for region, name, field in named:
        place = places.get(name)
        if place is None:
            known = ", ".join(places) or "none"
            raise _refused("declared", f"{region.name} names the shard {name}; databases.servers declares {known}")
        if place.zone not in region.zones:
            raise _refused(
                "declared",
                f"{region.name} has a {'primary' if field == 'primary' else 'replica'} of {name}, whose zone"
                f" {place.zone} may not be kept there; its zones are {', '.join(region.zones)}",
            )
        if field == "primary" and place.region not in {"", region.name}:
            raise _refused("declared", f"{region.name} has the primary of {name}, which databases.servers has in"
                           f" {place.region}; say the same in both")  # fmt: skip
        if field == "replicas" and region.name not in place.replicas:
            raise _refused("declared", f"{region.name} has a replica of {name}, and databases.servers has none there;"
                           " declare it with its url")  # fmt: skip
    for region, shard in _standing(settings, places):
        if shard.zone not in region.zones:
            raise _refused(
                "declared",
                f"databases.servers keeps {shard.name} of zone {shard.zone} in {region.name}, which may keep"
                f" {', '.join(region.zones)} only",
            )


def _standing(settings: RegionsSettings, places: dict[str, ShardPlace]) -> Iterator[tuple[RegionSettings, ShardPlace]]:
    for shard in places.values():
        for name in {shard.region, *shard.replicas}:
            if (region := settings.named(name)) is not None:
                yield region, shard


def _check_work(settings: RegionsSettings, zones: set[str]) -> None:
    """Every zone needs somebody for every kind of work."""
    for zone in sorted(zones):
        keeping = [region for region in settings.declared if zone in region.zones]
        if not keeping:
            raise _refused("declared", f"no region may keep zone {zone}, which has shards; add it to a region's zones")
        for role in ROLES:
            if not any(role in region.roles for region in keeping):
                names = ", ".join(region.name for region in keeping)
                raise _refused("declared", f"no region of zone {zone} has the role {role}; add it to one of {names}")


def _check_media(zone: str, keeping: list[RegionSettings]) -> None:
    """An upload into a data directory lies in one region, where its lecture is made: one of the zone takes them."""
    making = [region.name for region in keeping if "media" in region.roles]
    if len(making) > 1:
        raise _refused(
            "declared",
            f"{' and '.join(making)} both have the role media in zone {zone}; a lecture is made where its upload lies,"
            " so leave it to one of them and give the others their other roles, or keep the zone's lectures in a bucket"
            " (assets.main)",
        )


def _once(key: str, values: Iterable[str], said: str) -> None:
    twice = sorted(value for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ConfigurationError(f"setting {key}: {', '.join(twice)} {said}", details={"key": key})


def _refused(field: str, said: str) -> ConfigurationError:
    return ConfigurationError(f"setting regions.{field}: {said}", details={"key": f"regions.{field}"})
