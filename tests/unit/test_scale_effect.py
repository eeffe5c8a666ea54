"""Verdicts on acts: against what was expected, corrected for the load, and none where nothing can be said."""

from typing import Any

import msgspec
import pytest

from atomic_guide.operations.scaling import effect
from atomic_guide.operations.scaling.effect import Outcome, Span, Window
from atomic_guide.operations.scaling.model import Decision, Event, Expected, State
from tests.scaling_acts import decision
from tests.scaling_units import UNITS

AT = 1_700_000_000.0


def expecting(expected: Expected | None, before: int = 1, after: int = 2) -> Decision:
    return msgspec.structs.replace(decision(before=before, after=after), expected=expected)


def window(value: float | None, load: float | None = None) -> Window:
    return Window(0, 300, value, load)


UTILISATION = Expected("web", "utilisation", 0.8, 300)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "success"),
    [
        (window(1.0, 100), window(0.5, 100), "met", True),
        (window(1.0, 100), window(0.9, 100), "missed", False),
        # Without the act it would have been 1.0 * 50 / 100 = 0.5.
        (window(1.0, 100), window(0.3, 50), "met anyway", True),
        # At the old load it would be 0.9 * 100 / 200 = 0.45.
        (window(1.0, 100), window(0.9, 200), "outgrown", True),
        (window(1.0, 100), window(None, 100), "no data", None),
        (window(None), window(0.5), "met", True),
        (window(None), window(0.9), "missed", False),
        # Loads that cannot be compared correct nothing.
        (window(1.0, 0), window(0.9, 200), "missed", False),
        (window(1.0, 1), window(0.9, 200), "missed", False),
    ],
)
def test_an_act_is_judged_against_its_expectation_at_its_load(
    before: Window, after: Window, outcome: Outcome, *, success: bool | None
) -> None:
    found = effect.judge(expecting(UTILISATION), before, after, 0.0, UNITS)
    assert (found.outcome, found.success) == (outcome, success)
    assert found.cost_per_hour is None


def test_the_correction_and_the_cost_are_told() -> None:
    found = effect.judge(expecting(UTILISATION, 2, 5), window(0.9, 100), window(0.6, 150), 0.25, UNITS)
    assert found.load_ratio == 1.5
    assert found.without == pytest.approx(1.35)
    assert found.at_old_load == pytest.approx(0.4)
    assert found.cost_per_hour == 0.75


def test_what_may_fall_only_so_far_is_judged_from_the_other_side() -> None:
    above = Expected("web", "throughput", 10.0, 300, below=False)
    assert effect.judge(expecting(above), window(5), window(12), 0, UNITS).outcome == "met"
    assert effect.judge(expecting(above), window(5), window(8), 0, UNITS).outcome == "missed"


def test_taking_away_is_never_met_anyway() -> None:
    found = effect.judge(expecting(UTILISATION, 3, 2), window(0.4, 100), window(0.5, 100), 1.0, UNITS)
    assert found.outcome == "met"
    assert found.cost_per_hour == -1.0


def test_the_figures_of_a_verdict_have_their_units() -> None:
    found = effect.judge(expecting(UTILISATION), window(1.0, 100), window(0.3, 50), 0.0, UNITS)
    assert found.why == ("web utilisation is 30%, at most 80%; at this load it would have been 50% without the act")
    slow = Expected("database", "query_p95", 0.5, 300, "s1")
    assert effect.judge(expecting(slow), window(2.0), window(1.5), 0.0, UNITS).why == (
        "database query_p95 of s1 is 1.5 s, not at most 500 ms"
    )
    grown = effect.judge(expecting(UTILISATION), window(1.0, 100), window(0.9, 200), 0.0, UNITS)
    assert grown.why == "web utilisation is 90%, not at most 80%; at the load before it would be 45%"


def event(state: State = "done", started: float | None = AT, ended: float | None = AT + 20, **changed: Any) -> Event:
    made = msgspec.structs.replace(decision(at=AT), **changed)
    return Event(made, state, "auto", started, ended)


@pytest.mark.parametrize(
    ("found", "after"),
    [
        (event(expected=None), Span(AT + 20, AT + 320)),
        (event(ended=AT + 900, expected=None), Span(AT + 900, AT + 1800)),
        (event(ended=AT + 9000, expected=None), Span(AT + 9000, AT + 10_800)),
        (event(expected=Expected("queues", "backlog", 10, 600)), Span(AT + 300, AT + 600)),
        (event(expected=Expected("queues", "backlog", 10, 1e9)), Span(AT + 3300, AT + 3600)),
    ],
)
def test_the_window_after_waits_for_slow_units_and_for_what_is_due(found: Event, after: Span) -> None:
    assert effect.spans(found) == (Span(AT - 300, AT), after)


@pytest.mark.parametrize("state", ["acting", "failed", "rolled_back", "shadowed", "refused", "awaiting", "expired"])
def test_only_what_is_done_has_windows(state: State) -> None:
    assert effect.spans(event(state)) is None


def judged(outcome: str, rule: str = "backlog") -> Event:
    success = {"met": True, "missed": False}.get(outcome)
    return msgspec.structs.replace(event("done", rule=rule), verdict={"outcome": outcome, "success": success})


def test_no_events_are_no_rate() -> None:
    assert effect.rate([]).rate is None
    waiting = [
        judged("no data"),
        event("acting"),
        event("shadowed"),
        event("refused"),
        event("awaiting"),
        event("expired"),
    ]
    found = effect.rate(waiting)
    assert (found.rate, found.judged, found.undecided) == (None, 0, 2)


def test_failures_count_without_windows() -> None:
    found = effect.rate([judged("met"), judged("met"), judged("missed"), event("failed"), event("rolled_back")])
    assert (found.judged, found.succeeded, found.rate) == (5, 2, 0.4)


def test_rules_are_told_apart() -> None:
    found = effect.by_rule(
        [judged("met"), judged("missed", rule="rooms"), event("failed", rule="rooms"), event("shadowed")]
    )
    assert [(one.rule, one.events, one.rate.rate) for one in found] == [("backlog", 1, 1.0), ("rooms", 2, 0.0)]
    assert found[1].outcomes == {"missed": 1, "failed": 1}
    assert found[0].seconds == 20


@pytest.mark.parametrize(
    ("before", "after", "demand", "right"),
    [
        (1, 2, [50, 150, 90], True),
        (1, 2, [50, 100, 90], False),
        (3, 2, [50, 200], True),
        (3, 2, [50, 201], False),
        (1, 2, [], None),
    ],
)
def test_what_was_only_watched_is_judged_by_the_demand_that_followed(
    before: int, after: int, demand: list[float], *, right: bool | None
) -> None:
    found = effect.shadow_verdict(expecting(None, before, after), demand, 100.0)
    assert found.success is right
    shadowed = msgspec.structs.replace(event("shadowed"), verdict=msgspec.to_builtins(found))
    assert effect.shadow_rate([shadowed]).rate == (None if right is None else float(right))
    assert effect.rate([shadowed]).judged == 0
