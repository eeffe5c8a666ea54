"""The regions, shards and tenants of the rehearsal.

eu-central  keeps zones eu and de: the directory's and shard-eu's primary, and shard-de, which has no second region
eu-north    keeps zone eu: a synchronous standby of the directory and of shard-eu
us-east     keeps zone us: shard-us
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import msgspec

CENTRAL, NORTH, EAST = "eu-central", "eu-north", "us-east"


class Place(NamedTuple):
    """A region as it is declared."""

    name: str
    coordinates: tuple[float, float]
    country: str
    zones: tuple[str, ...]
    primary: tuple[str, ...]
    replicas: tuple[str, ...]
    roles: tuple[str, ...] = ("web", "media", "analytics")


PLACES = (
    Place(CENTRAL, (50.1, 8.7), "DE", ("eu", "de"), ("shard-eu", "shard-de"), ()),
    Place(NORTH, (59.3, 18.1), "SE", ("eu",), (), ("shard-eu",), ("web", "analytics")),
    Place(EAST, (39.0, -77.5), "US", ("us",), ("shard-us",), ()),
)


class Tenant(msgspec.Struct, frozen=True):
    """A school of the rehearsal, with words that are nobody else's: whoever finds one has found its data.

    `home` is the region where its people are; `second` whether its rule allows another one.
    """

    name: str
    zone: str
    home: str
    country: str
    second: bool
    deployment: str
    context: str
    title: str
    person: str
    word: str

    @property
    def markers(self) -> tuple[str, ...]:
        """What is looked for: the ids and names of its people, the course, what was said and uploaded."""
        return self.context, self.title, self.person, self.word


def made_tenants() -> tuple[Tenant, ...]:
    """A tenant of each zone."""
    return tuple(
        _tenant(*each)
        for each in (
            ("school-eu", "eu", CENTRAL, "DE", True),
            ("school-de", "de", CENTRAL, "DE", False),
            ("school-us", "us", EAST, "US", False),
        )
    )


def _tenant(name: str, zone: str, home: str, country: str, second: bool) -> Tenant:  # noqa: FBT001 - a row of a table
    def word(kind: str) -> str:
        return f"{kind}{secrets.token_hex(8)}"

    return Tenant(
        name, zone, home, country, second, f"deployment-{name}",
        word("context"), word("title"), word("person"), word("word"),
    )  # fmt: skip
