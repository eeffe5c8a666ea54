"""Decisions as they are written down: names of changes, reasons, what was weighed, and what is said only once."""

from typing import Any, NamedTuple

import pytest

from atomic_guide.operations.scaling.decide.bounds import Cut
from atomic_guide.operations.scaling.decide.memory import FleetState
from atomic_guide.operations.scaling.decide.outlook import Peak
from atomic_guide.operations.scaling.decide.weigh import Weighed
from atomic_guide.operations.scaling.decide.wish import Leave, Wish
from atomic_guide.operations.scaling.decide.wording import action_of, decision, held
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Decision, Expected, Rejected

MORE = Wish(6, "backlog", "12,000 wait", "high", "add_consumer", {"queues.backlog": 12_000.0},
            Expected("queues", "backlog", 5000.0, 90.0))  # fmt: skip
FEWER = Leave(2, "quick-reads", "reads are quick", "remove_read_replica", {"database.query": 0.01})
OTHER = Rejected("5 units by schedule: lectures", "backlog asks for more")


class Now(NamedTuple):
    """A fleet of four that could be asked for more."""

    state: FleetState
    name: str = "workers"
    at: float = 5000.4
    fleet: Fleet = Fleet(3, 1, 0, 50, 100.0)
    stands: int = 4


def now(**changes: Any) -> Now:
    return Now(FleetState())._replace(**changes)


@pytest.mark.parametrize(
    ("fleet", "more", "fewer"),
    [
        ("replicas/s1", "add_read_replica", "remove_read_replica"),
        ("shards", "increase_sharding", "decrease_sharding"),
        ("workers", "add_consumer", "remove_consumer"),
        ("web", "add_process", "remove_process"),
    ],
)
def test_a_change_has_the_name_of_its_fleet(fleet: str, more: str, fewer: str) -> None:
    assert action_of(fleet, more=True) == more
    assert action_of(fleet, more=False) == fewer


def test_more_is_by_the_wish_with_what_it_expects() -> None:
    assert decision(now(), Weighed(6, MORE, FEWER, (OTHER,)), Cut(6, (), {"budget.day": 9.0})) == Decision(
        id="workers-5000-6", at=5000.4, fleet="workers", action="add_consumer", before=4, after=6, rule="backlog",
        urgency="high", reason="12,000 wait",
        inputs={"queues.backlog": 12_000.0, "budget.day": 9.0, "ready": 3.0, "starting": 1.0},
        rejected=(OTHER, Rejected("stay at 4", "12,000 wait")), expected=MORE.expected,
    )  # fmt: skip


def test_what_was_cut_is_said_beside_the_reason() -> None:
    made = decision(now(name="replicas/s1"), Weighed(9, MORE), Cut(6, ("at most 6", "too dear")))
    assert made.id == "replicas-s1-5000-6"
    assert made.reason == "12,000 wait; at most 6; too dear"
    assert made.rejected == (
        Rejected("stay at 4", "12,000 wait"),
        Rejected("9 units at once", "at most 6; too dear"),
    )


def test_fewer_is_by_who_lets_go_and_expects_nothing() -> None:
    made = decision(now(), Weighed(2, MORE, FEWER), Cut(2))
    assert (made.action, made.rule, made.urgency) == ("remove_read_replica", "quick-reads", "low")
    assert (made.reason, made.expected) == ("reads are quick", None)
    assert made.inputs == {"database.query": 0.01, "ready": 3.0, "starting": 1.0}


def test_fewer_without_anybody_who_lets_go_is_by_the_bounds() -> None:
    made = decision(now(), Weighed(4, MORE), Cut(3, ("at most 3",)))
    assert (made.action, made.rule, made.urgency) == ("remove_consumer", "bounds", "low")
    assert made.expected is None
    unnamed = decision(now(name="web"), Weighed(2, MORE, FEWER._replace(action=None)), Cut(2))
    assert unnamed.action == "remove_process"
    assert decision(now(name="web"), Weighed(6, MORE._replace(action=None)), Cut(6)).action == "add_process"


def said(weighed: Weighed, cut: Cut, *, loss: str = "", at: Now | None = None) -> Decision | None:
    return held(at or now(), weighed, cut, loss, None)


def test_a_hold_says_whose_wish_was_cut_and_by_what() -> None:
    found = said(Weighed(6, MORE, None, (OTHER,)), Cut(4, ("at most 4",), {"budget.day": 9.0}))
    assert found == Decision(
        id="workers-5000-hold", at=5000.4, fleet="workers", action="hold", before=4, after=4, rule="backlog",
        urgency="low", reason="6 units are wanted (12,000 wait), but at most 4",
        inputs={"queues.backlog": 12_000.0, "budget.day": 9.0, "ready": 3.0, "starting": 1.0}, rejected=(OTHER,),
    )  # fmt: skip


def test_what_the_most_cut_is_marked_whatever_is_done() -> None:
    for capped in (False, True):
        cut = Cut(6, ("at most 6",), capped=capped)
        assert decision(now(), Weighed(9, MORE), cut).capped is capped
        kept = said(Weighed(6, MORE), Cut(4, ("at most 4",), capped=capped))
        assert kept is not None
        assert kept.capped is capped


def test_one_unit_is_said_as_one_with_all_that_holds_it_back() -> None:
    found = said(Weighed(1, MORE), Cut(0, ("too dear", "too soon")), at=now(stands=0))
    assert found is not None
    assert found.reason == "1 unit is wanted (12,000 wait), but too dear; too soon"
    lost = said(Weighed(1, MORE), Cut(1), loss="web.demand is not measured", at=now(stands=1))
    assert lost is not None
    assert lost.reason == "web.demand is not measured: nothing is taken away, and 1 unit stays"


def test_a_hold_says_who_would_let_go_and_what_it_waits_for() -> None:
    found = said(Weighed(2, MORE, FEWER), Cut(4, ("a step up was 9 s ago", "and more")))
    assert found is not None
    assert (found.rule, found.reason) == ("quick-reads", "reads are quick; a step up was 9 s ago; and more")
    more = said(Weighed(6, MORE, FEWER), Cut(4, ("at most 4",)))
    assert more is not None
    assert more.rule == "backlog"


def test_a_hold_says_what_could_not_count_before_what_is_not_measured() -> None:
    refused = (Wish(5, "slow-reads", "reads are slow", inputs={"a": 1.0}, refused="locks are why"),
               Wish(6, "slow-writes", "writes are slow", inputs={"b": 2.0}, refused="disks are why"))  # fmt: skip
    found = said(Weighed(4, MORE, None, (), refused), Cut(4), loss="web.demand is not measured")
    assert found is not None
    assert (found.rule, found.reason) == ("slow-reads", "reads are slow, but locks are why")
    assert found.inputs == {"queues.backlog": 12_000.0, "a": 1.0, "b": 2.0, "ready": 3.0, "starting": 1.0}
    lost = said(Weighed(4, MORE), Cut(4), loss="web.demand is not measured")
    assert lost is not None
    assert lost.rule == "metric-loss"
    assert lost.reason == "web.demand is not measured: nothing is taken away, and 4 units stay"


def test_nothing_is_said_where_nothing_speaks_for_a_change() -> None:
    state = FleetState()
    assert said(Weighed(4, MORE), Cut(4), at=now(state=state)) is None
    assert (state.held, state.held_at) == ("", 0.0)


def test_the_same_reason_is_said_once_an_hour_and_another_at_once() -> None:
    state = FleetState()
    kept = Cut(4, ("at most 4",))
    times = (0.0, 15.0, 3599.0, 3600.0, 3615.0)
    found = [said(Weighed(6, MORE), kept, at=now(state=state, at=100_000.0 + later)) for later in times]
    assert [one is not None for one in found] == [True, False, False, True, False]
    assert (state.held, state.held_at) == ("cut/backlog", 103_600.0)
    for other, code in ((MORE._replace(rule="old-jobs"), "cut/old-jobs"), (MORE, "cut/backlog")):
        assert said(Weighed(6, other), kept, at=now(state=state, at=103_615.0)) is not None
        assert state.held == code
    assert said(Weighed(2, MORE, FEWER), kept, at=now(state=state, at=103_615.0)) is not None
    assert state.held == "fewer/quick-reads"
    assert said(Weighed(4, MORE), Cut(4), loss="lost", at=now(state=state, at=103_615.0)) is not None
    assert state.held == "loss"
    refused = (MORE._replace(refused="locks"),)
    assert said(Weighed(4, MORE, None, (), refused), Cut(4), at=now(state=state, at=103_615.0)) is not None
    assert state.held == "refused/backlog"


def test_a_coming_peak_is_said_once_and_after_what_is_held_now() -> None:
    state, peak = FleetState(), Peak(90_000.0, 93_600.0, 850.0)
    planned = (peak, "a peak comes")
    first = held(now(state=state), Weighed(4, MORE), Cut(4), "", planned)
    assert first is not None
    assert (first.action, first.rule, first.reason, first.rejected) == ("hold", "next-peak", "a peak comes", ())
    assert state.planned == 90_000.0
    assert held(now(state=state), Weighed(4, MORE), Cut(4), "", planned) is None
    later = (Peak(180_000.0, 183_600.0, 850.0), "another")
    lost = held(now(state=state), Weighed(4, MORE), Cut(4), "lost", later)
    assert lost is not None
    assert lost.rule == "metric-loss"
    assert state.planned == 90_000.0
