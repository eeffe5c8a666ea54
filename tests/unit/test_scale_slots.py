"""Joining rows of the record: sums, counts, extremes and durations stay what they were."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import LEVELS, _join, _Slot, _Slots

values = st.lists(
    st.tuples(st.integers(0, 8 * 3600), st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=5)), min_size=1, max_size=60
)


def sample(durations: list[float]) -> Sample:
    made = Histogram()
    for value in durations:
        made.add(value)
    return Sample(Key("web", "latency"), made.total, made.counts)


@given(values)
def test_every_level_holds_what_was_measured(measured: list[tuple[int, list[float]]]) -> None:
    slots: _Slots = {}
    for at, durations in measured:
        _join(slots, (1, at // 15 * 15), _Slot.of_sample(sample(durations)))
    everything = [value for _, durations in measured for value in durations]
    whole = sample(everything)
    for level in LEVELS:
        coarser: _Slots = {}
        for (series, begin), slot in slots.items():
            _join(coarser, (series, begin // level.resolution * level.resolution), slot)
        slots = coarser
        assert len({at for _, at in slots}) == len(slots)
        assert sum(slot.count for slot in slots.values()) == len(everything)
        assert math.fsum(slot.sum for slot in slots.values()) == pytest.approx(math.fsum(everything))
        assert min(slot.least for slot in slots.values()) == pytest.approx(min(everything), rel=0.05)
        assert max(slot.most for slot in slots.values()) == pytest.approx(max(everything), rel=0.05)
        assert Histogram.merged(Histogram(slot.histogram) for slot in slots.values()).counts == whole.histogram
