"""Distances on the globe, and which region is nearest to a country. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from atomic_guide.regions.countries import Point, countries

if TYPE_CHECKING:
    from atomic_guide.regions.settings import RegionSettings

EARTH_KM = 6371.0
"""The mean radius of the Earth (IUGG), in kilometres."""


def distance_km(one: Point, other: Point) -> float:
    """The great-circle distance by the haversine formula, which stays exact for small distances."""
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    share = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(across / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, share)))


def nearest_first(regions: Iterable[RegionSettings], country: str) -> list[tuple[RegionSettings, float]]:
    """The regions in the order in which a country's requests go to them, with their distance in kilometres.

    A region that names the country comes first, the others by their distance; equal ones by name, so that every
    process says the same. Raises KeyError for a code that is no country's.
    """
    point = countries()[country].point
    found = [(region, distance_km(region.point, point)) for region in regions]
    return sorted(found, key=lambda one: (country not in one[0].countries, one[1], one[0].name))
