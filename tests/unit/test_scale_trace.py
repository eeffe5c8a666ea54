"""Reading recorded demand."""

import math

import numpy as np
import pytest

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.reading import read_trace


def read(*lines: str) -> tuple[float, float, list[float]]:
    trace = read_trace(["timestamp,value", *lines], "t.csv")
    return trace.start, trace.step, trace.values.tolist()


def test_every_form_of_time_is_the_same_moment() -> None:
    for first in ("1970-01-02T00:00:00Z", "1970-01-02 00:00:00", "1970-01-02T02:00:00+02:00", "86400"):
        assert read(f"{first},1", "1970-01-02T00:01:00Z,2") == (86400.0, 60.0, [1.0, 2.0])


def test_what_is_missing_stays_missing() -> None:
    _, step, values = read("0,1", "60,", "120,nan", "180,-1", "240,inf", "360,7")
    assert step == 60.0
    assert [value if not math.isnan(value) else None for value in values] == [1.0, None, None, None, None, None, 7.0]


def test_lines_in_any_order_and_equal_times_are_averaged() -> None:
    assert read("120,3", "0,1", "60,2", "60,4")[2] == [1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["time,value", "0,1", "1,1"], "first line"),
        (["timestamp,value", "0,1", "yesterday,1"], "line 3: 'yesterday' is no timestamp"),
        (["timestamp,value", "0,1", "1,many"], "line 3: 'many' is no number"),
        (["timestamp,value", "0,1"], "at least two lines"),
        (["timestamp,value", "0,1", "0,1"], "all its timestamps"),
        (["timestamp,value", "0,1", "1,1", "2,1", "1e12,1"], "steps of 1 s"),
        ([], "empty"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(lines: list[str], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read_trace(lines, "t.csv")


def test_a_value_holds_until_the_next_and_a_tick_shows_the_most_of_its_values() -> None:
    minutes = read_trace(["timestamp,value", "0,1", "60,2", "120,"], "t.csv")
    assert np.array_equal(minutes.ticks(15), [1.0] * 4 + [2.0] * 4 + [math.nan] * 4, equal_nan=True)
    seconds = read_trace(["timestamp,value", *(f"{at},{at % 7}" for at in range(30))], "t.csv")
    assert seconds.ticks(15).tolist() == [6.0, 6.0]
