"""Buckets and shard assignment; the vectors are published so that ports in other languages agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.data.placement import BUCKETS, CourseKey, assign, bucket_of

VECTORS = [
    ("t1", "course-1"),
    ("t1", "course-2"),
    ("t2", "course-1"),
    ("t1", "\u0410\u0443\u0434/7"),
    ("t1", "\U0001f30a"),
]


def test_vectors_are_stable() -> None:
    assert [bucket_of(*vector) for vector in VECTORS] == [1066, 1495, 2071, 2529, 2832]


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
    with pytest.raises(ValueError, match="at least one shard"):
        assign([])
