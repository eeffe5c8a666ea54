"""Precedence between wishes: the highest counts; fewer only where somebody lets go and nobody holds on."""

import pytest

from atomic_guide.operations.scaling.decide.weigh import Weighed, weigh
from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.model import Rejected

LEAST = Wish(2, "minimum", "at least 2 units are kept")
BACKLOG = Wish(7, "backlog", "12,000 wait")
FLOOR = Wish(5, "forecast-floor", "500 are expected")
QUICK, QUIET = Leave(3, "quick-reads", "reads are quick"), Leave(4, "empty-rooms", "rooms are empty")


def weighed(*heard: Wish | Leave, standing: int = 4, loss: str = "") -> Weighed:
    wishes = tuple(one for one in heard if isinstance(one, Wish))
    return weigh(Heard((LEAST, *wishes), tuple(one for one in heard if isinstance(one, Leave))), standing, loss)


def test_the_highest_wish_counts_and_the_others_that_asked_for_more_are_told_so() -> None:
    found = weighed(FLOOR, BACKLOG)
    assert (found.units, found.wish, found.leave, found.refused) == (7, BACKLOG, None, ())
    assert found.rejected == (Rejected("5 units by forecast-floor: 500 are expected", "backlog asks for more"),)


def test_who_would_let_go_is_told_who_holds_on() -> None:
    found = weighed(BACKLOG, QUICK)
    assert found.units == 7
    assert found.rejected == (Rejected("3 units by quick-reads: reads are quick", "backlog keeps 7"),)
    higher = weighed(FLOOR, BACKLOG, QUICK)
    assert [one.why for one in higher.rejected] == ["backlog asks for more", "backlog keeps 7"]
    same = weighed(Wish(4, "tracking", "just right"), QUICK)
    assert (same.units, same.leave) == (4, None)
    assert same.rejected[0].why == "tracking keeps 4"


def test_what_stands_stays_where_nobody_says_that_fewer_would_do() -> None:
    assert weighed() == Weighed(4, LEAST, None, (), ())
    assert weighed(BACKLOG, Wish(4, "tracking", "just right")).rejected == (), "who asks for what there is lost nothing"


def test_of_equal_wishes_the_first_counts_whatever_they_are_called() -> None:
    first, second = Wish(7, "a-rule", "it is first"), Wish(7, "z-rule", "it is second")
    assert weighed(first, second).wish == first
    leaves = Leave(3, "z-rule", "it is first"), Leave(3, "a-rule", "it is second")
    assert weighed(*leaves).leave == leaves[0]


def test_the_fewest_that_somebody_lets_go_to_counts_but_not_below_a_wish() -> None:
    assert weighed(QUICK, QUIET) == Weighed(3, LEAST, QUICK, (), ())
    held = weighed(Leave(1, "empty-rooms", "rooms are empty"))
    assert (held.units, held.leave) == (2, Leave(1, "empty-rooms", "rooms are empty"))
    assert held.rejected == (Rejected("1 unit by empty-rooms", "minimum keeps 2: at least 2 units are kept"),)
    assert weighed(Leave(9, "odd", "more than there are")).units == 4


def test_nothing_goes_where_what_it_is_judged_by_is_not_measured() -> None:
    found = weighed(QUICK, loss="web.demand is not measured")
    assert (found.units, found.leave, found.wish) == (4, None, LEAST)
    assert found.rejected == (Rejected("3 units by quick-reads: reads are quick", "web.demand is not measured"),)


@pytest.mark.parametrize(("units", "told"), [(8, True), (7, False), (5, False)])
def test_a_wish_that_cannot_count_does_not_and_is_told_where_it_would_have_changed_something(
    units: int, told: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    refused = Wish(units, "slow-reads", "reads are slow", refused="locks are why")
    found = weighed(refused, BACKLOG)
    assert (found.units, found.refused) == (7, (refused,))
    says = Rejected(f"{units} units by slow-reads: reads are slow", "locks are why")
    assert found.rejected == ((says,) if told else ())
    assert weighed(refused._replace(units=4)).refused == (), "it asked for no more than there is"
    assert weighed(refused, QUICK).refused == (refused,)
    assert weighed(refused, QUICK).units == 3
    assert weighed(refused, loss="lost").refused == (refused,)
    assert [one.why for one in weighed(refused, QUICK, loss="lost").rejected] == ["locks are why", "lost"]
    assert weighed(refused).refused == (refused,)
