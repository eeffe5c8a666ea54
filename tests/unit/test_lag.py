"""How far a socket is behind, against a list of what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.rooms.lag import Backlog, Lag


@given(st.integers(1, 1000), st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 16))), st.data())
def test_what_waits_is_what_was_written_last(first: int, writes: list[tuple[int, int]], data: st.DataObject) -> None:
    backlog, written = Backlog(first, 0.0), [(first, 1, 0.0)]
    for at, (size, frames) in enumerate(writes, 1):
        backlog.add(size, frames, float(at))
        written.append((size, frames, float(at)))
    now = float(len(writes) + 1)
    total = sum(size for size, _, _ in written)
    for unsent in sorted(data.draw(st.lists(st.integers(0, total), min_size=1)), reverse=True):
        # Whole frames are counted as waiting as long as a byte of them does.
        waiting: list[tuple[int, int, float]] = []
        while sum(size for size, _, _ in waiting) < unsent:
            waiting.insert(0, written[-1 - len(waiting)])
        frames = sum(count for _, count, _ in waiting)
        assert backlog.lag(unsent, now) == Lag(unsent, frames, now - waiting[0][2] if waiting else 0.0)


def test_a_frame_that_waits_grows_old() -> None:
    backlog = Backlog(10, 5.0)
    assert backlog.lag(10, 7.5).seconds == pytest.approx(2.5)
