"""Which bucket and which shard a course belongs to. Pure: no clock, no I/O.

A course is (tenant, LTI context id): the same context id from two LMSs is two courses. Its bucket is
`xxh3_64("tenant/context") & 4095` over UTF-8, a published algorithm, so that a port in another language agrees
(test vectors in docs/placement.md). Buckets, not courses, are assigned to shards: going from 4 to 5
shards moves a fifth of them, where `hash % n` moves four fifths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import xxhash

from atomic_guide.errors import DataUnavailable

BUCKETS = 4096
"""Buckets in a residency zone; enough for 400 shards of ten buckets each, few enough to hold in memory."""


class CourseKey(msgspec.Struct, frozen=True, order=True):
    """Where a course's rows are: the first three columns of every row in a shard."""

    tenant: str
    course: str
    bucket: int

    @classmethod
    def of(cls, tenant: str, context: str) -> CourseKey:
        """The key of the course that `tenant` calls `context`.

        The course id is 96 bits of BLAKE2b over both: fixed length, safe in subjects, object names and
        URLs whatever characters an LMS puts into its context ids.
        """
        digest = hashlib.blake2b(f"{tenant}/{context}".encode(), digest_size=12).hexdigest()
        return cls(tenant, f"c{digest}", bucket_of(tenant, context))

    @property
    def columns(self) -> dict[str, str | int]:
        """The key as query parameters."""
        return {"bucket": self.bucket, "tenant": self.tenant, "course": self.course}


class Map(NamedTuple):
    """The map as the directory had it: owners by zone and bucket, pinned courses, and zones by tenant."""

    number: int
    buckets: dict[str, list[tuple[str, int]]]
    overrides: dict[tuple[str, str], tuple[str, int]]
    zones: dict[str, str]


def bucket_of(tenant: str, context: str) -> int:
    """The bucket of a course, 0..4095."""
    return xxhash.xxh3_64_intdigest(f"{tenant}/{context}".encode()) & (BUCKETS - 1)


def zone_tenant(zone: str) -> str:
    """The tenant of what belongs to a zone and to no LMS, such as a job of the system's own; no LMS is called so."""
    return f"@{zone}"


def zone_of(tenant: str, zones: Mapping[str, str], otherwise: str) -> str:
    """The residency zone of a tenant; `zones` are those that have been given one."""
    return tenant[1:] if tenant.startswith("@") else zones.get(tenant, otherwise)


def assign(shards: list[str], buckets: int = BUCKETS) -> list[str]:
    """A first bucket map: contiguous, equal ranges (sizes differ by at most one). Raises ValueError without shards."""
    if not shards:
        message = "a zone needs at least one shard"
        raise ValueError(message)
    return [shards[bucket * len(shards) // buckets] for bucket in range(buckets)]


def owners(rows: Iterable[tuple[str, str, int]]) -> dict[str, list[tuple[str, int]]]:
    """The map by zone, from (zone, shard, epoch) by bucket. Raises `DataUnavailable` for half a map."""
    found: dict[str, list[tuple[str, int]]] = {}
    for zone, shard, epoch in rows:
        found.setdefault(zone, []).append((shard, epoch))
    for zone, buckets in found.items():
        if len(buckets) != BUCKETS:
            raise DataUnavailable(
                f"the bucket map of zone {zone} holds {len(buckets)} of {BUCKETS} buckets;"
                " put back a backup of the directory database"
            )
    return found
