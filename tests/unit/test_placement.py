"""Buckets and shard assignment; the vectors are published so that ports in other languages agree."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.data.placement import BUCKETS, CourseKey, assign, bucket_of, owners, zone_of, zone_tenant
from atomic_guide.errors import DataUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "placement.md"
ROW = re.compile(
    r"^\| `(?P<tenant>\w+)` \| (?P<context>.+?) \| `(?P<hash>[0-9a-f]{16})` \| (?P<bucket>\d+) \| `(?P<course>\w+)` \|$"
)


def vectors() -> list[dict[str, str]]:
    """The rows of the published table; a long context stands there as `300 times`."""
    rows = [match.groupdict() for match in map(ROW.match, PAGE.read_text("utf-8").splitlines()) if match]
    for row in rows:
        long = re.fullmatch(r"(\d+) times `(.)`", row["context"])
        row["context"] = long[2] * int(long[1]) if long else json.loads(row["context"].strip("`"))
    return rows


def test_the_published_vectors_are_what_the_program_computes() -> None:
    rows = vectors()
    assert len(rows) == 16
    assert any(ord(character) > 0xFFFF for row in rows for character in row["context"])
    for row in rows:
        key = CourseKey.of(row["tenant"], row["context"])
        digest = xxhash.xxh3_64_intdigest(f"{row['tenant']}/{row['context']}".encode())
        assert (f"{digest:016x}", str(key.bucket), key.course) == (row["hash"], row["bucket"], row["course"])


def test_the_vectors_never_change() -> None:
    buckets = [1066, 1495, 2071, 4040, 3416, 338, 3187, 2529, 1366, 1932, 3414, 2832, 3179, 1523, 2262, 3190]
    assert [int(row["bucket"]) for row in vectors()] == buckets


def test_the_course_id_is_spread_evenly_within_a_bucket() -> None:
    keys = [CourseKey.of("t1", f"course-{number}") for number in range(20_000)]
    pairs = Counter((key.bucket % 4, int(key.course[1:], 16) % 10) for key in keys)
    assert len(pairs) == 40
    assert min(pairs.values()) > 400


@given(st.text(), st.text())
def test_a_bucket_is_within_the_zone(tenant: str, context: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in tenant + context):
        return
    assert 0 <= bucket_of(tenant, context) < BUCKETS


def test_the_same_context_of_two_tenants_is_two_courses() -> None:
    assert CourseKey.of("t1", "math") != CourseKey.of("t2", "math")
    assert CourseKey.of("t1", "math").course != CourseKey.of("t2", "math").course


def test_a_course_id_is_safe_in_paths_and_subjects() -> None:
    assert CourseKey.of("t1", "../../etc/ *.>").course.isalnum()


def test_shards_share_the_buckets_evenly() -> None:
    owners = assign(["a", "b", "c"])
    counts = [owners.count(name) for name in "abc"]
    assert sum(counts) == BUCKETS
    assert max(counts) - min(counts) <= 1


def test_a_zone_without_shards_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a zone needs at least one shard$"):
        assign([])


def test_ranges_of_buckets_are_contiguous_and_in_the_order_of_the_shards() -> None:
    assert assign(["a", "b", "c"], 8) == ["a", "a", "a", "b", "b", "b", "c", "c"]
    assert assign(["a"], 2) == ["a", "a"]
    assert len(assign(["a"])) == BUCKETS


def test_a_key_as_parameters() -> None:
    assert CourseKey.of("t1", "math").tenant == "t1"
    assert CourseKey("t", "c1", 7).columns == {"bucket": 7, "tenant": "t", "course": "c1"}


def test_a_tenant_is_of_the_zone_it_was_given_and_what_belongs_to_a_zone_is_of_that() -> None:
    zones = {"t1": "eu", "@us": "eu"}
    assert zone_of("t1", zones, "home") == "eu"
    assert zone_of("t2", zones, "home") == "home"
    assert zone_of(zone_tenant("us"), zones, "home") == "us"
    assert zone_tenant("us") == "@us"


def test_owners_are_by_zone_in_the_order_of_the_buckets_and_half_a_map_is_refused() -> None:
    rows = [("eu", f"s{bucket % 2}", bucket) for bucket in range(BUCKETS)]
    assert owners([*rows, *(("us", shard, epoch) for _, shard, epoch in rows)]) == {
        "eu": [("s0" if bucket % 2 == 0 else "s1", bucket) for bucket in range(BUCKETS)],
        "us": [("s0" if bucket % 2 == 0 else "s1", bucket) for bucket in range(BUCKETS)],
    }
    assert owners([]) == {}
    says = f"^the bucket map of zone us holds 1 of {BUCKETS} buckets; put back a backup of the directory database$"
    with pytest.raises(DataUnavailable, match=says):
        owners([*rows, ("us", "s1", 0)])
