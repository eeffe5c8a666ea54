"""The token bucket of a queue with a rate."""

from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.queues.pace import BURST_SECONDS, Bucket, take


@given(st.floats(0.1, 1000), st.lists(st.tuples(st.floats(0, 2), st.integers(0, 500)), max_size=60))
def test_no_more_start_than_the_rate_allows(rate: float, asked: list[tuple[float, int]]) -> None:
    bucket, now, started = None, 1000.0, 0
    for pause, wanted in asked:
        now += pause
        granted, bucket = take(bucket, now, rate, wanted)
        assert 0 <= granted <= wanted
        started += granted
    assert started <= 1 + rate * (now - 1000.0 + BURST_SECONDS) + 1e-6


def test_a_queue_that_always_has_jobs_reaches_its_rate() -> None:
    bucket, started = None, 0
    for tenth in range(601):
        granted, bucket = take(bucket, tenth / 10, 3.0, 100)
        started += granted
    assert 180 <= started <= 182


def test_a_clock_that_goes_back_fills_nothing() -> None:
    granted, bucket = take(Bucket(0.0, 1000.0), 900.0, 10, 100)
    assert (granted, bucket) == (0, Bucket(0.0, 1000.0))
