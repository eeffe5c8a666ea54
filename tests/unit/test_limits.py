"""Limits: what is counted of each, the warning, and what is made of the reports of several processes."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from atomic_guide.errors import TooLarge
from atomic_guide.limit import RECENT_SECONDS, About, Limit, Used
from atomic_guide.operations.limits import pages
from atomic_guide.operations.limits.register import Register, share_of
from atomic_guide.operations.limits.telling import limits_telling, shown
from atomic_guide.operations.scaling.reports import Report


def limit(name: str = "sockets", *, about: About = "level", key: str = "rooms.sockets") -> Limit:
    return Limit("rooms", name, "sockets", key, refuses="The next.", answer="bye", use="Sockets.", about=about)


class Process:
    """A register whose use and time a test sets."""

    def __init__(self, *limits: Limit, most: float = 100) -> None:
        self.now = 1000.0
        self.used: list[Used] = []
        self.register = Register(limits, {one.name: most for one in limits}, lambda: self.now)
        self.register.add(lambda: self.used)

    def at(self, one: Limit, value: float) -> list[Any]:
        self.used = [Used(one, value)]
        with capture_logs() as logs:
            self.register.look()
        return [line["event"] for line in logs]

    def report(self, name: str) -> Report:
        told = limits_telling(self.register)()
        return Report(name, "web", "life", 0.0, 1.0, dict(told.counters), dict(told.gauges))


def test_a_refusal_is_counted_and_says_which_limit_it_was() -> None:
    one = limit()
    error = one.over(TooLarge("no"))
    assert (one.refused, error.details) == (1, {"limit": "sockets"})


def test_a_refusal_that_says_more_keeps_that() -> None:
    assert limit().over(TooLarge("no", details={"limit": 4000})).details == {"limit": 4000}


def test_a_limit_that_is_nearly_reached_is_told_of_once_until_it_has_room_again() -> None:
    one = limit()
    process = Process(one)
    assert process.at(one, 79) == []
    assert process.at(one, 80) == ["limit nearly reached"]
    assert [process.at(one, value) for value in (95, 75, 81, 120)] == [[], [], [], []]
    assert process.at(one, 69) == ["limit has room again"]
    assert process.at(one, 80) == ["limit nearly reached"]


def test_a_limit_that_has_refused_is_warned_of_even_where_it_has_room_again() -> None:
    one = limit()
    process = Process(one)
    assert process.at(one, 10) == []
    one.refused += 1
    assert process.at(one, 10) == ["limit nearly reached"]
    assert process.register.look()[0].high == 1
    assert process.at(one, 10) == []


def test_the_warning_names_use_setting_and_part() -> None:
    one = limit()
    process = Process(one)
    process.used = [Used(one, 20, "a"), Used(one, 9, "b", most=10)]
    with capture_logs() as logs:
        process.register.look()
    (line,) = logs
    assert (line["limit"], line["use"], line["setting"], line["part"]) == (
        "sockets", 0.9, "rooms.sockets", "b",
    )  # fmt: skip


def test_of_sizes_the_largest_lately_is_the_use() -> None:
    one = limit(about="size")
    process = Process(one)
    one.note(60)
    one.note(20)
    assert process.register.look()[0].value == 60
    process.now += RECENT_SECONDS
    assert process.register.look()[0].value == 60
    one.note(30)
    process.now += RECENT_SECONDS
    assert process.register.look()[0].value == 30
    process.now += 3 * RECENT_SECONDS
    assert [(found.value, found.high) for found in process.register.look()] == [(0, 0.6)]


@pytest.mark.parametrize("about", ["size", "own", "kept"])
def test_what_is_no_level_is_told_of_only_where_it_was_over_its_limit(about: About) -> None:
    one = limit(about=about)
    process = Process(one)
    assert process.at(one, 100) == []
    (row,) = shown([one], {"sockets": 100}, [process.report("a")])
    assert (row.about, row.usage, row.near) == (about, 1.0, False)
    one.refused += 1
    assert process.at(one, 101) == ["limit nearly reached"]
    assert shown([one], {"sockets": 100}, [process.report("a")])[0].near


def test_a_part_that_cannot_tell_hides_no_other() -> None:
    one, other = limit(), limit("frames")

    def broken() -> list[Used]:
        raise OSError

    process = Process(one, other)
    process.register.add(broken)
    process.used = [Used(other, 10)]
    with capture_logs() as logs:
        assert [found.limit for found in process.register.look()] == [other]
    assert logs[0]["log_level"] == "warning"


@pytest.mark.parametrize(
    ("value", "most", "share"), [(5, 10, 0.5), (0, 0, 0.0), (1, 0, 1.0), (-3, 10, 0.0), (12, 10, 1.2)]
)
def test_shares(value: float, most: float, share: float) -> None:
    assert share_of(value, most) == share


def test_over_several_processes_the_fullest_is_shown_and_refusals_are_added() -> None:
    one, idle = limit(), limit("idle")
    one.refused = 2
    first, second = Process(one, idle), Process(one, idle)
    first.at(one, 90)
    first.at(one, 30)
    second.used = [Used(one, 50, "web")]
    reports = [first.report("a"), second.report("b")]
    sockets, unused = shown([one, idle], {"sockets": 100, "idle": 5}, reports)
    assert (sockets.value, sockets.usage, sockets.part, sockets.process) == (50, 0.5, "web", "b")
    assert (sockets.high, sockets.refused, sockets.near) == (0.9, 4, False)
    assert (unused.most, unused.value, unused.usage, unused.refused) == (5, None, None, 0)


def test_a_limit_that_each_part_has_of_its_own_is_shown_as_that_parts() -> None:
    one = limit(key="queues.*.time")
    process = Process(one)
    process.register = Register([one], {}, lambda: 0.0)
    process.register.add(lambda: [Used(one, 0, "mail", most=7)])
    (row,) = shown([one], {}, [process.report("a")])
    assert (row.most, row.part) == (7, "mail")
    assert pages.standing(row) == "0%: 0 of 7 sockets (mail), 0 refused"


def test_a_line_for_operators() -> None:
    one = limit()
    process = Process(one, most=1000)
    process.at(one, 1000)
    process.at(one, 910)
    (row,) = shown([one], {"sockets": 1000}, [process.report("a")])
    assert pages.line(row) == (
        "! sockets              91%: 910 of 1,000 sockets, at most 100%, 0 refused   [rooms.sockets]"
    )
