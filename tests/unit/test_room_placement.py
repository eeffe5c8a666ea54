"""Who may enter, when a refused socket comes again, and who leaves new connections to others."""

from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.rooms.placement import Elsewhere, Wait, admit, comes_again, leans, yields
from atomic_guide.engines.rooms.settings import RoomSettings

LIMITS = RoomSettings(room_sockets=3, person_sockets=2)
others = st.builds(Elsewhere, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2000))


def test_a_socket_is_refused_for_the_first_reason_that_stands() -> None:
    assert admit(2, 1, LIMITS, draining=False) is None
    assert admit(3, 1, LIMITS, draining=False) == "full"
    assert admit(3, 2, LIMITS, draining=False) == "tabs"
    assert admit(0, 0, LIMITS, draining=True) == "restart"


def test_a_process_that_has_all_its_sockets_is_full_for_every_room() -> None:
    limits = RoomSettings(room_sockets=3, person_sockets=2, process_sockets=10)
    assert admit(0, 0, limits, draining=False, process_sockets=9) is None
    assert admit(0, 0, limits, draining=False, process_sockets=10) == "full"
    assert admit(0, 2, limits, draining=False, process_sockets=10) == "tabs"
    assert admit(0, 0, limits, draining=False) is None


def test_when_a_refused_socket_comes_again() -> None:
    place, full = Elsewhere(shares_door=False, open=False, full=False), Elsewhere(True, True, True)  # noqa: FBT003
    assert comes_again("restart", [place]) == Wait(1.0, 1.0)
    assert comes_again("tabs", [place]) == Wait(30.0, 1.0)
    assert comes_again("tabs", [place], hearsay=True) == Wait(5.0, 1.0)
    assert comes_again("full", [full, place]) == Wait(0.3, 0.7)
    assert comes_again("full", [full, full]) == comes_again("full", []) == Wait(4.0, 4.0)


def test_a_process_leans_on_one_that_has_far_fewer_sockets_accepts_and_is_not_full() -> None:
    lean = Elsewhere(shares_door=True, open=True, full=False, sockets=100)
    assert not leans(150, [lean])
    assert leans(151, [lean])
    assert not leans(1000, [lean._replace(sockets=800)]), "a fifth of its own"
    assert leans(1000, [lean._replace(sockets=799)])
    for change in ({"shares_door": False}, {"open": False}, {"full": True}):
        assert not leans(1000, [lean._replace(**change)])
    assert leans(1000, [lean._replace(full=True), lean])
    assert not leans(1000, [])
    assert leans(51, [Elsewhere(shares_door=True, open=True, full=False)])


def test_who_finds_no_place_comes_again_at_once_only_where_another_process_has_one() -> None:
    place, full = Elsewhere(shares_door=True, open=True, full=False), Elsewhere(shares_door=True, open=True, full=True)
    assert comes_again("full", [full, place]).least < 1
    assert comes_again("full", [full]).least > 2
    assert comes_again("full", []).least > 2
    assert comes_again("tabs", [place]).least > comes_again("restart", [place]).least


@given(st.lists(others, max_size=4))
def test_a_process_leaves_connections_only_to_one_that_takes_them_and_has_a_place(found: list[Elsewhere]) -> None:
    assert yields(found) == ((True, True, False) in [other[:3] for other in found])


@given(st.lists(st.tuples(st.integers(0, 2000), st.booleans()), min_size=1, max_size=6))
def test_however_sockets_are_spread_one_process_accepts(processes: list[tuple[int, bool]]) -> None:
    """All open at first: not all of them lean on one another."""
    seen = [Elsewhere(shares_door=True, open=True, full=full, sockets=sockets) for sockets, full in processes]
    leaning = [leans(one.sockets, seen[:i] + seen[i + 1 :]) for i, one in enumerate(seen)]
    assert not all(leaning)
    assert leans(100, seen) == any(one.sockets < 50 and not one.full for one in seen)
