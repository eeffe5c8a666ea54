import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.budget import Rate
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.errors import RateLimited
from atomic_guide.web.limits import Limits, LimitSettings, client_address, networks

COURSE = CourseKey.of("tenant", "course")


def limits(clock: ManualClock) -> Limits:
    return Limits(LimitSettings(), clock)


def test_the_hundred_and_first_message_of_a_minute_waits() -> None:
    clock = ManualClock()
    checked = limits(clock)
    for _ in range(100):
        checked.check_message(COURSE, "ada", "learner")
    with pytest.raises(RateLimited) as caught:
        checked.check_message(COURSE, "ada", "learner")
    assert caught.value.retry_after == pytest.approx(0.6, abs=1e-3)
    checked.check_message(COURSE, "ben", "learner")
    clock.advance(0.601)
    checked.check_message(COURSE, "ada", "learner")


def test_an_instructor_may_say_twenty_a_second_for_ever() -> None:
    clock = ManualClock()
    checked = limits(clock)
    for _ in range(3000):
        checked.check_message(COURSE, "teacher", "instructor")
        clock.advance(0.05)


def test_a_room_has_a_limit_of_its_own_and_a_refusal_costs_nothing() -> None:
    clock = ManualClock()
    checked = limits(clock)
    for number in range(6000):
        checked.check_message(COURSE, f"student {number}", "learner")
    for _ in range(200):
        with pytest.raises(RateLimited) as caught:
            checked.check_message(COURSE, "late", "learner")
    assert caught.value.details == {"limit": "room"}
    checked.check_message(CourseKey.of("tenant", "other"), "late", "learner")
    clock.advance(0.011)
    checked.check_message(COURSE, "late", "learner")


def test_ten_attempts_without_a_ticket_from_one_address_or_one_ipv6_subscriber() -> None:
    checked = limits(ManualClock())
    for number in range(10):
        checked.check_refused("192.0.2.1")
        checked.check_refused(f"2001:db8::{number}")
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::ffff"):
        with pytest.raises(RateLimited):
            checked.check_refused(address)
    checked.check_refused("192.0.2.2")
    checked.check_refused("2001:db8:0:1::1")


@given(st.integers(1, 5000), st.lists(st.floats(0, 10), max_size=300))
def test_no_minute_sees_more_than_a_burst_and_a_refill(per_minute: int, pauses: list[float]) -> None:
    rate, mark, now = Rate(per_minute), 0.0, 1000.0
    taken: list[float] = []
    for pause in pauses:
        now += pause
        mark, wait = rate.spend(mark, now)
        if not wait:
            taken.append(now)
        assert sum(1 for moment in taken if moment > now - 60) <= 2 * per_minute + 1


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("192.0.2.9", "203.0.113.5", [], "192.0.2.9"),
        ("10.0.0.1", "203.0.113.5", ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.5, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", "", ["10.0.0.1"], "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5", ["*"], "203.0.113.5"),
        ("10.0.0.1", "not an address, 10.0.0.3", ["10.0.0.0/8"], "not an address"),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(
    peer: str, forwarded: str, trusted: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, networks(trusted)) == address


def test_what_other_processes_have_spent_is_refused_here_until_it_is_not() -> None:
    clock = ManualClock()
    checked = Limits(LimitSettings(person_messages=60, room_messages=600), clock)
    for limit, user in (("person", "ada"), ("room", "ben")):
        checked.learn(COURSE, user, "learner", RateLimited("spent", details={"limit": limit}, retry_after=5.0))
        with pytest.raises(RateLimited) as refused:
            checked.check_message(COURSE, user, "learner")
        assert refused.value.details == {"limit": limit}
        assert refused.value.retry_after == pytest.approx(5.0)
        clock.advance(5.0)
        checked.check_message(COURSE, user, "learner")


async def test_refused_tickets_of_an_address_count_over_all_processes() -> None:
    clock, bus = ManualClock(), LocalBus()
    processes = [limits(clock) for _ in range(3)]
    for process in processes:
        await process.join(bus)
    for number in range(10):
        processes[number % 3].check_refused("192.0.2.7")
    for process in processes:
        with pytest.raises(RateLimited):
            process.check_refused("192.0.2.7")
        process.check_refused("192.0.2.8")
    clock.advance(6.0)
    processes[0].check_refused("192.0.2.7")
    with pytest.raises(RateLimited):
        processes[1].check_refused("192.0.2.7")
