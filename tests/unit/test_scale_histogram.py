"""Merged durations, and what they say of a quantile."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.durations import LEAST, MOST, Durations, bucket_of, seconds_of
from atomic_guide.operations.scaling.histogram import Histogram

ERROR = 0.048
seconds = st.floats(LEAST, MOST / 10)
groups = st.lists(st.lists(seconds, max_size=40), min_size=1, max_size=6).filter(any)


def histogram_of(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(seconds)
def test_a_bucket_tells_its_durations_within_five_percent(value: float) -> None:
    assert seconds_of(bucket_of(value)) == pytest.approx(value, rel=ERROR)


@given(groups, st.floats(0, 1))
def test_a_quantile_of_merged_parts_is_that_of_all_values_within_five_percent(
    parts: list[list[float]], q: float
) -> None:
    merged = Histogram.merged(histogram_of(part) for part in parts)
    values = sorted(value for part in parts for value in part)
    exact = values[max(0, math.ceil(q * len(values)) - 1)]
    assert merged.quantile(q) == pytest.approx(exact, rel=ERROR)
    assert merged.count == len(values)
    assert merged.mean == pytest.approx(sum(values) / len(values))


@given(st.lists(seconds, max_size=40), st.lists(seconds, max_size=40))
def test_what_came_since_is_what_was_added(before: list[float], after: list[float]) -> None:
    earlier, now = histogram_of(before), histogram_of([*before, *after])
    since = now.since(earlier)
    assert since.counts == histogram_of(after).counts
    assert since.total == pytest.approx(sum(after), abs=1e-6 * (1 + sum(before)))


def test_nothing_has_no_quantile_and_no_mean() -> None:
    empty = Histogram()
    assert (empty.quantile(0.95), empty.mean, empty.least, empty.most, empty.count) == (None, None, None, None, 0)
    with pytest.raises(ValueError, match="a quantile is of 0 to 1"):
        empty.quantile(95)


@given(st.lists(st.floats(0, 2 * MOST), min_size=1, max_size=3000))
def test_durations_are_counted_alike_alone_and_together(values: list[float]) -> None:
    together, alone = Durations(), Histogram()
    for value in values:
        together.add(value)
        alone.add(value)
    assert sum(together.counts.values()) == len(values)
    assert together.total == pytest.approx(alone.total)
    # On the edge of a bucket, numpy's logarithm and math's may differ in the last bit.
    off = Histogram(together.counts).since(alone).counts
    assert all(math.isclose(math.log(1.1) * bucket, math.log(min(max(value, LEAST), MOST)), rel_tol=1e-9)
               for bucket in off for value in values if abs(bucket_of(value) - bucket) == 1) or not off  # fmt: skip
