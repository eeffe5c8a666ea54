"""What a simulation tells: thinned timelines that lose no extreme, exact minutes over capacity, the demonstrations."""

import io
import json

import numpy as np
import pytest

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.comparing import Compared, chosen, compare
from atomic_guide.operations.scaling.policies.named import NAMES, WHAT
from atomic_guide.operations.scaling.simulate import Terms
from atomic_guide.operations.scaling.simulator.asked import Asked, TraceAsked, check_asked
from atomic_guide.operations.scaling.simulator.demonstration import DEMONSTRATIONS, demand_of, find_demonstration
from atomic_guide.operations.scaling.simulator.program import Work, perform
from atomic_guide.operations.scaling.simulator.telling import policy_told, spans, trace_told
from atomic_guide.operations.scaling.trace import Series

TERMS = Terms(unit=10.0, delay=90.0, tick=15.0, least=1, most=50)


def burst() -> Series:
    """Two hours at a level that one unit bears, with four minutes of forty times that, and two minutes unknown."""
    demand = np.full(480, 8.0)
    demand[100:116] = 320.0
    demand[300:308] = np.nan
    return demand


@pytest.fixture
def replayed() -> Compared:
    return next(compare(("hpa-60",), 0.0, burst(), TERMS))


def test_a_thinned_timeline_keeps_the_highest_demand_and_the_least_that_was_ready(replayed: Compared) -> None:
    told = policy_told(replayed, 0.0, burst(), TERMS, 12)
    assert told.timeline is not None
    assert len(told.timeline) == 12
    assert max(row.demand or 0 for row in told.timeline) == 320.0
    assert min(row.ready for row in told.timeline) == int(replayed.run.ready.min())
    assert max(row.desired for row in told.timeline) == replayed.score.peak
    assert [row.timestamp for row in told.timeline[:2]] == ["1970-01-01T00:00:00Z", "1970-01-01T00:10:00Z"]


def test_a_timeline_with_more_points_than_ticks_is_the_ticks_themselves(replayed: Compared) -> None:
    told = policy_told(replayed, 0.0, burst(), TERMS, 2000)
    assert told.timeline is not None
    assert len(told.timeline) == 480
    assert [row.ready for row in told.timeline] == replayed.run.ready.tolist()
    assert [row.demand for row in told.timeline[299:309]] == [8.0, *[None] * 8, 8.0]
    assert told.timeline[0].reason == "what the first tick needs"
    assert {number for number, row in enumerate(told.timeline) if row.reason != "as before"} - {0} == set(
        replayed.run.reasons
    )


def test_minutes_over_capacity_are_told_exactly_however_few_points_there_are(replayed: Compared) -> None:
    exact = policy_told(replayed, 0.0, burst(), TERMS, 2000)
    thin = policy_told(replayed, 0.0, burst(), TERMS, 3)
    assert exact.over == thin.over
    assert sum(seconds for _, seconds in thin.over) == 60 * thin.violation_minutes > 0
    assert thin.over[0][0] == 25 * 60, "the burst begins in minute 25"


def test_what_was_not_measured_is_told_and_nobody_is_blamed_for_it() -> None:
    told = trace_told(0.0, burst(), TERMS)
    assert told.missing == [(4500, 120)]
    assert (told.ticks, told.end) == (480, "1970-01-01T02:00:00Z")


@pytest.mark.parametrize(
    ("places", "found"), [([], []), ([3], [(45, 15)]), ([0, 1, 2, 5, 7, 8], [(0, 45), (75, 15), (105, 30)])]
)
def test_spans_join_what_follows(places: list[int], found: list[tuple[float, float]]) -> None:
    assert spans(np.array(places, dtype=np.int64), 15) == found


def test_all_policies_are_replayed_where_none_is_named_and_each_has_words() -> None:
    assert chosen(["hpa-50", "default", "hpa-50"]) == ("hpa-50", "default")
    assert chosen([]) == NAMES == tuple(name for name in NAMES if WHAT[name])


def test_progress_goes_from_nothing_to_all() -> None:
    told: list[tuple[str, float]] = []
    long = np.tile(burst(), 10)
    list(compare(("hpa-60", "hpa-70"), 0.0, long, TERMS, told=lambda name, share: told.append((name, share))))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert 0.9 < shares[-1] <= 1
    assert {name for name, _ in told} == {"hpa-60", "hpa-70"}


@pytest.mark.parametrize("name", [one.name for one in DEMONSTRATIONS])
def test_a_demonstration_is_a_day_and_the_same_each_time(name: str) -> None:
    one = find_demonstration(name)
    first, again = demand_of(one), demand_of(one)
    assert np.array_equal(first.values, again.values, equal_nan=True)
    assert first.step * len(first.values) == 86_400
    known = first.values[~np.isnan(first.values)]
    assert (known > 0).all()
    assert known.max() > 5 * known.min()


def test_the_day_of_lectures_has_twelve_minutes_without_data_and_the_crowd_comes_within_two_minutes() -> None:
    lectures = demand_of(find_demonstration("lecture-day")).values
    assert np.isnan(lectures).sum() == 12 * 4
    crowd = demand_of(find_demonstration("flash-crowd")).values
    before, after = crowd[36 * 60 + 36 : 36 * 60 + 40].mean(), crowd[37 * 60 - 10 : 37 * 60 - 6].mean()
    assert after > 4 * before


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Asked(TraceAsked()), "exactly one of"),
        (Asked(TraceAsked(name="lecture-day", csv="x")), "exactly one of"),
        (Asked(TraceAsked(name="lecture-day"), policies=["best"]), "no policy best"),
    ],
)
def test_what_cannot_be_replayed_is_refused(asked: Asked, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check_asked(asked)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [({}, 1, 4), ({"min": 3}, 3, 4), ({"min": 9}, 9, 9), ({"max": 9}, 1, 9), ({"max": 0}, 0, 0), ({"min": 0}, 0, 4)],
)
def test_where_nothing_else_is_asked_the_usual_terms_hold(given: dict[str, int], least: int, most: int) -> None:
    usual = Terms(0.8, 60.0, least=1, most=4)
    terms = Asked(TraceAsked(history="web"), min=given.get("min"), max=given.get("max")).terms(usual)
    assert terms == Terms(0.8, 60.0, 15.0, least, most)
    asked = Asked(TraceAsked(history="web"), unit_capacity=2.0, start_delay=0, tick=30.0)
    assert asked.terms(usual) == Terms(2.0, 0.0, 30.0, 1, 4)


def test_fewest_over_most_are_refused() -> None:
    with pytest.raises(Invalid, match="min 5 is over max 4"):
        Asked(TraceAsked(name="lecture-day"), min=5, max=4).terms(Terms())


def said(work: Work) -> list[dict[str, object]]:
    out = io.StringIO()
    perform(work, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_process_says_how_much_there_is_and_what_came_out() -> None:
    lines = said(Work(TERMS, ("hpa-60", "hpa-50"), 0, csv="timestamp,value\n0,5\n60,7\n120,5\n"))
    assert lines[0] == {"type": "begun", "ticks": 2 * 12}
    assert lines[-1]["type"] == "ended"
    assert [one["name"] for one in lines[-1]["policies"]] == ["hpa-60", "hpa-50"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("a,b\n", "the first line must be"),
        ("timestamp,value\n0,5\nsoon,7\n", "line 3"),
        ("timestamp,value\n0,5\n1,5\n", ""),
    ],
)
def test_the_process_refuses_what_is_no_trace_with_its_line(csv: str, says: str) -> None:
    lines = said(Work(TERMS, ("hpa-60",), 0, csv=csv))
    assert lines[-1]["type"] == "refused"
    assert says in str(lines[-1]["message"])
