"""In which order jobs are claimed: what facts are worth, that nobody starves, and that tenants have a fair share."""

import itertools
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.queues.priority import PRESETS, Facts, PrioritySettings, Turns, decide, foremost, live_boost

RANKS = PrioritySettings()
GUIDE = PrioritySettings(preset="guide")
LIVE, INSTRUCTOR, SHORT, NONE = Facts(live=True), Facts(instructor=True), Facts(duration=240.0), Facts()
LECTURE = 3600.0
SPACING = 10.0


def best(settings: PrioritySettings, **contenders: Facts) -> str:
    """Whose job runs first of those that arrive together."""
    boosts = {name: decide(facts, settings).boost for name, facts in contenders.items()}
    first = max(boosts, key=boosts.__getitem__)
    assert Counter(boosts.values())[boosts[first]] == 1, "a tie"
    return first


def test_an_instructors_lecture_goes_before_a_students_clip() -> None:
    lecture = Facts(instructor=True, duration=LECTURE)
    assert best(RANKS, clip=SHORT, lecture=lecture) == "lecture"
    assert best(GUIDE, clip=SHORT, lecture=lecture) == "clip"


def test_a_long_video_of_a_live_course_goes_before_an_instructors_clip() -> None:
    long, clip = Facts(live=True, duration=LECTURE), Facts(instructor=True, duration=240.0)
    assert best(RANKS, long=long, clip=clip) == "long"
    assert decide(long, GUIDE).priority == decide(clip, GUIDE).priority == 15


def test_what_was_not_measured_is_not_short() -> None:
    assert decide(NONE, RANKS).priority == 0
    assert decide(Facts(duration=0.0), RANKS).priority == 1
    assert decide(Facts(duration=300.0), RANKS).priority == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_the_reason_adds_up_to_the_priority(preset: str) -> None:
    settings = msgspec.convert({"preset": preset}, PrioritySettings)
    for live, instructor, duration in itertools.product((False, True), (False, True), (None, 10.0, LECTURE)):
        decided = decide(Facts(live=live, instructor=instructor, duration=duration), settings)
        why = msgspec.json.decode(decided.why)
        assert why.pop("preset") == preset
        assert why.pop("boost_seconds") == pytest.approx(decided.boost, abs=0.001)
        assert sum(why.values()) == decided.priority
        assert why.keys() == {
            name for name, held in (("live", live), ("instructor", instructor), ("short", duration == 10.0)) if held
        }
    assert decide(Facts(live=True, instructor=True, duration=1.0), settings).boost == settings.ageing_seconds


facts = st.builds(Facts, live=st.booleans(), instructor=st.booleans(), duration=st.sampled_from([None, 60.0, LECTURE]))
presets = st.sampled_from([RANKS, GUIDE])
arrivals = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from(["a", "b", "c"]), facts), min_size=2, max_size=60
).map(lambda found: sorted(found, key=lambda each: each[0]))


def placed(settings: PrioritySettings, found: list[tuple[int, str, Facts]]) -> list[tuple[float, float]]:
    """The start and rank of each arrival."""
    turns = Turns({})
    places = []
    for arrival, tenant, given_facts in found:
        boost = decide(given_facts, settings).boost
        turn = turns.take(("q", tenant, boost), arrival, SPACING)
        places.append((turn.tag - SPACING, turn.rank))
    return places


@given(presets, arrivals)
def test_a_job_is_overtaken_only_by_what_comes_less_than_the_bound_later(
    settings: PrioritySettings, found: list[tuple[int, str, Facts]]
) -> None:
    places = placed(settings, found)
    for start, rank in places:
        late = [place for place, each in zip(places, found, strict=True) if each[0] >= start + settings.ageing_seconds]
        assert all(other >= rank for _, other in late)


@given(presets, arrivals, st.data())
def test_the_static_order_is_that_of_linear_ageing(
    settings: PrioritySettings, found: list[tuple[int, str, Facts]], data: st.DataObject
) -> None:
    points = sum(PRESETS[settings.preset])
    waiting = [
        (decide(each[2], settings).priority, start, rank)
        for each, (start, rank) in zip(found, placed(settings, found), strict=True)
    ]
    now = 50_000.0
    while waiting:
        now += data.draw(st.integers(0, 20_000), label="seconds until the next claim")
        aged = [priority + (now - start) * points / settings.ageing_seconds for priority, start, _ in waiting]
        oldest = aged.index(max(aged))
        assert waiting[oldest][2] <= min(rank for _, _, rank in waiting) + 1e-6
        del waiting[oldest]


@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.integers(0, 300),
    st.sampled_from([0.5, 1.0, 10.0, 60.0]),
    st.integers(1, 7),
)
def test_two_tenants_with_more_than_can_be_done_get_equal_shares(
    mine: int, yours: int, later: int, spacing: float, batch: int
) -> None:
    turns = Turns({})
    waiting = []
    for tenant, jobs, arrival in (("mine", mine, 0.0), ("yours", yours, float(later))):
        for number in range(jobs):
            # Published in batches, or all at once: the same.
            at = arrival + (number // batch) * 0.001
            waiting.append((turns.take(("q", tenant, 0.0), at, spacing).rank, tenant))
    served = Counter({"mine": 0, "yours": 0})
    for _, tenant in sorted(waiting):
        if served["mine"] == mine or served["yours"] == yours:
            break
        served[tenant] += 1
        # Who came later makes up for it only as far as the other was not served before.
        assert abs(served["mine"] - served["yours"]) <= 1 + (later + 0.1) / spacing


@given(st.integers(1, 10_000), st.floats(0, 1000))
def test_a_single_job_waits_for_a_few_of_anothers_ten_thousand(jobs: int, later: float) -> None:
    turns = Turns({})
    ranks = [turns.take(("q", "many", 0.0), 0.0, SPACING).rank for _ in range(jobs)]
    single = turns.take(("q", "one", 0.0), later, SPACING).rank
    assert sum(rank < single for rank in ranks) <= later / SPACING + 1


def test_a_live_session_alone_is_worth_its_share_of_the_ageing() -> None:
    assert live_boost(PrioritySettings(ageing_seconds=700.0)) == 400.0
    assert live_boost(PrioritySettings(preset="guide", ageing_seconds=300.0)) == 150.0


@pytest.mark.parametrize(
    ("facts", "first"),
    [
        (Facts(live=True, instructor=True, duration=1.0), "live"),
        (Facts(instructor=True, duration=1.0), "instructor"),
        (Facts(duration=1.0), "short"),
        (Facts(), "none"),
    ],
)
def test_the_foremost_fact_is_told_from_the_reason(facts: Facts, first: str) -> None:
    assert foremost(decide(facts, RANKS).why) == first
    assert foremost(None) == "none"


def test_jobs_that_come_together_stand_one_after_the_other_and_the_next_batch_behind_them() -> None:
    turns = Turns({})
    flow = ("q", "tenant", 100.0)
    assert turns.take_many(flow, 1000.0, 10.0, 3) == ([900.0, 910.0, 920.0], 1030.0)
    assert turns.take_many(flow, 1005.0, 10.0, 2) == ([930.0, 940.0], 1050.0)
    assert turns.take_many(flow, 2000.0, 10.0, 1) == ([1900.0], 2010.0), "what is over is no debt"
    assert turns.take_many(("q", "other", 100.0), 1000.0, 10.0, 1) == ([900.0], 1010.0)
    assert Turns({flow: 5000.0}).take(flow, 1000.0, 10.0) == (4900.0, 5010.0)
