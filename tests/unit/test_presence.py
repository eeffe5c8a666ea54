from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.rooms.presence import Here, Person, Presence

USERS = "abcd"
steps = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "change", "list", "lose"]), st.sampled_from(USERS), st.integers(0, 1)),
    max_size=40,
)


def person(user: str, role: str = "learner") -> Person:
    return Person(user, user.upper(), role)


def here(user: str, *since: int) -> Here:
    return Here(person(user), since)


def everybody(presence: Presence) -> set[str]:
    return {who.id for who in presence.sample(100)}


@given(steps)
def test_what_members_are_told_adds_up_to_who_is_there(script: list[tuple[str, str, int]]) -> None:
    """State plus events equals a fresh read: joined and left, applied in turn, give the people, and their count."""
    presence = Presence()
    shown: set[str] = set()
    elsewhere: dict[str, set[str]] = {}
    for number, (what, user, place) in enumerate(script, 1):
        origin = f"process {place}"
        joined: list[Person] = []
        left: list[Person] = []
        if what == "enter":
            joined = [person(user)] if presence.enter(person(user), number) else []
        elif what == "leave":
            if user in presence.seats and presence.seats[user].since:
                presence.leave(user, presence.seats[user].since[0], leaves_at=number)
            left = [gone for gone, everywhere in presence.leaving(number) if everywhere]
        elif what == "change":
            there = elsewhere.setdefault(origin, set())
            came, gone = ([], [user]) if user in there else ([here(user)], [])
            there.symmetric_difference_update({user})
            steps = (presence.revision_of(origin), number)
            joined, left, whole = presence.hear_change(origin, steps, came, gone)
            assert whole
        elif what == "list":
            elsewhere[origin] = {user, "d"}
            joined, left, _ = presence.hear_list(origin, number, [here(user), here("d")])
        else:
            elsewhere.pop(origin, None)
            left = presence.lose(origin)
        assert not shown & {who.id for who in joined}
        shown |= {who.id for who in joined}
        assert shown >= {who.id for who in left}
        shown -= {who.id for who in left}
        assert shown == everybody(presence) == set(presence.seats).union(*elsewhere.values())
        assert presence.count == len(shown)
        assert presence.spread == any(elsewhere.values())


def test_what_comes_twice_or_late_changes_nothing_and_what_is_missing_is_noticed() -> None:
    presence = Presence()
    presence.hear_change("x", (0, 5), [here("a")], [])
    presence.hear_change("x", (5, 9), [here("b")], ["a"])
    assert presence.hear_change("x", (0, 5), [here("a")], []) == ([], [], True)
    assert presence.hear_list("x", 5, [here("a")]) == ([], [], True)
    assert not presence.hear_change("x", (12, 14), [here("c")], []).whole
    assert everybody(presence) == {"b"}
    assert presence.hear_list("x", 14, [here("c")]) == ([person("c")], [person("b")], True)


def test_a_process_without_people_begins_anew() -> None:
    presence = Presence()
    presence.hear_change("x", (0, 5), [here("a")], [])
    presence.hear_change("x", (5, 6), [], ["a"])
    # Its room was closed meanwhile, so that its revision began at zero again.
    assert presence.hear_change("x", (0, 11), [here("b")], []).joined == [person("b")]


def test_a_reload_is_not_a_departure() -> None:
    presence = Presence()
    assert presence.enter(person("a"), 1)
    presence.leave("a", 1, leaves_at=10)
    assert presence.leaving(9) == []
    assert not presence.enter(person("a"), 2)
    assert presence.leaving(11) == []


def test_instructors_are_listed_first() -> None:
    presence = Presence()
    for user, role in (("a", "learner"), ("b", "instructor"), ("c", "learner")):
        presence.enter(person(user, role), 1)
    assert [who.id for who in presence.sample(2)] == ["b", "a"]


def test_sockets_are_known_over_all_processes_until_they_close() -> None:
    presence = Presence()
    for since in (3, 7):
        presence.enter(person("a"), since)
    presence.hear_change("x", (0, 1), [here("a", 5), here("b", 6)], [])
    presence.hear_list("y", 1, [here("a", 1, 9)])
    assert presence.sockets("a") == ([3, 7], [(5, "x"), (1, "y"), (9, "y")])
    presence.hear_change("x", (1, 2), [here("a", 5, 8)], [])
    presence.leave("a", 3, leaves_at=10)
    presence.disconnect("y")
    assert presence.sockets("a") == ([7], [(5, "x"), (8, "x")])
    presence.lose("x")
    assert presence.sockets("a") == ([7], [])
