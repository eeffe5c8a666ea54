from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.rooms.presence import Person, Presence

USERS = "abcd"
steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "in", "out", "here", "expire"]), st.sampled_from(USERS), st.integers(0, 1)
    ),
    max_size=40,
)


def person(user: str, role: str = "learner") -> Person:
    return Person(user, user.upper(), role)


@given(steps)
def test_what_members_are_told_adds_up_to_who_is_there(script: list[tuple[str, str, int]]) -> None:
    """State plus events equals a fresh read: joined and left, applied in turn, give `people()`."""
    presence = Presence()
    shown: set[str] = set()
    for number, (what, user, place) in enumerate(script):
        origin = f"process {place}"
        joined: list[Person] = []
        left: list[Person] = []
        if what == "enter":
            joined = [person(user)] if presence.enter(person(user)) else []
        elif what == "leave":
            if user in presence.seats and presence.seats[user].sockets:
                presence.leave(user, leaves_at=number)
            left = [gone for gone, everywhere in presence.leaving(number) if everywhere]
        elif what == "in":
            joined = presence.hear_in(origin, [person(user)], number)
        elif what == "out":
            left = presence.hear_out(origin, [user])
        elif what == "here":
            joined, left = presence.hear_list(origin, [person(user), person("d")], number)
        else:
            left = presence.expire(before=number - 5)
        assert not shown & {who.id for who in joined}
        shown |= {who.id for who in joined}
        assert shown >= {who.id for who in left}
        shown -= {who.id for who in left}
        assert shown == {who.id for who in presence.people()}
        assert presence.count == len(shown)


def test_a_reload_is_not_a_departure() -> None:
    presence = Presence()
    assert presence.enter(person("a"))
    presence.leave("a", leaves_at=10)
    assert presence.leaving(9) == []
    assert not presence.enter(person("a"))
    assert presence.leaving(11) == []


def test_instructors_are_listed_first() -> None:
    presence = Presence()
    for user, role in (("a", "learner"), ("b", "instructor"), ("c", "learner")):
        presence.enter(person(user, role))
    assert [who.id for who in presence.people()] == ["b", "a", "c"]
