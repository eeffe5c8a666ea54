"""Every country and territory of ISO 3166-1 with a point in it: about its middle, or where most people live."""

from __future__ import annotations

import csv
import functools
from importlib import resources
from typing import NamedTuple


class Point(NamedTuple):
    """A place on the globe, in degrees: north and east are positive."""

    latitude: float
    longitude: float


class Country(NamedTuple):
    """A country by its ISO 3166-1 alpha-2 code."""

    code: str
    name: str
    point: Point


@functools.cache
def countries() -> dict[str, Country]:
    """All of them by code."""
    text = (resources.files(__package__) / "countries.csv").read_text(encoding="utf-8")
    return {
        row["code"]: Country(row["code"], row["name"], Point(float(row["latitude"]), float(row["longitude"])))
        for row in csv.DictReader(text.splitlines())
    }
