"""Distances, and which region is nearest to each country."""

import math

import pytest

from atomic_guide.regions.countries import Point, countries
from atomic_guide.regions.geography import EARTH_KM, distance_km, nearest_first
from atomic_guide.regions.settings import RegionSettings

FRANKFURT = RegionSettings("eu-central", (50.1, 8.7), countries=("DE",))
VIRGINIA = RegionSettings("us-east", (39.0, -77.5))
SINGAPORE = RegionSettings("ap-southeast", (1.3, 103.8))
ALL = (VIRGINIA, SINGAPORE, FRANKFURT)


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        (Point(0, 0), Point(0, 180), math.pi * EARTH_KM),
        (Point(90, 0), Point(-90, 77), math.pi * EARTH_KM),
        (Point(0, 0), Point(0, 90), math.pi * EARTH_KM / 2),
        # Across the date line: two degrees of longitude on the equator.
        (Point(0, 179), Point(0, -179), 2 * math.pi * EARTH_KM / 180),
        # Berlin and Paris, by any gazetteer.
        (Point(52.52, 13.405), Point(48.857, 2.351), 878),
        (Point(50, 8), Point(50, 8), 0),
    ],
)
def test_distances_are_those_of_great_circles(one: Point, other: Point, kilometres: float) -> None:
    assert distance_km(one, other) == pytest.approx(kilometres, rel=2e-3, abs=1e-6)
    assert distance_km(other, one) == pytest.approx(distance_km(one, other))


def test_every_country_of_iso_3166_is_known_with_a_place() -> None:
    known = countries()
    assert len(known) == 249
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in known)
    assert all(-90 <= one.point.latitude <= 90 and -180 <= one.point.longitude <= 180 for one in known.values())
    assert len({one.name for one in known.values()}) == 249


def test_every_country_has_a_nearest_region() -> None:
    for code in countries():
        found = nearest_first(ALL, code)
        assert {region.name for region, _ in found} == {region.name for region in ALL}
        rest = found[1:] if code in found[0][0].countries else found
        assert [distance for _, distance in rest] == sorted(distance for _, distance in rest)


@pytest.mark.parametrize(
    ("country", "region"),
    [("FR", "eu-central"), ("EG", "eu-central"), ("MX", "us-east"), ("BR", "us-east"), ("AU", "ap-southeast"),
     ("IN", "ap-southeast"), ("JP", "ap-southeast"), ("NZ", "ap-southeast"), ("KE", "eu-central")],
)  # fmt: skip
def test_countries_go_to_the_nearest(country: str, region: str) -> None:
    assert nearest_first(ALL, country)[0][0].name == region


def test_a_region_that_names_a_country_comes_before_nearer_ones() -> None:
    far = RegionSettings("far", (-33.9, 151.2), countries=("DE",))
    plain = RegionSettings("near", (51.0, 10.0))
    assert [region.name for region, _ in nearest_first([plain, far], "DE")] == ["far", "near"]


def test_an_unknown_country_is_an_error() -> None:
    with pytest.raises(KeyError):
        nearest_first(ALL, "XX")
