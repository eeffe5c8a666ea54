"""What has happened between two looks at the reports of processes."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.clock import ManualClock
from atomic_guide.errors import Unavailable
from atomic_guide.operations.scaling.reports import Look, Report, Reports, Spread, Told, joined, named

BEGIN = 1_800_000_000.0


class NoDirectory:
    """`compare` reads nothing."""


def reports(monotonic: Callable[[], float] = lambda: 0.0) -> Reports:
    return Reports(NoDirectory(), monotonic)  # type: ignore[arg-type]


def told(up: float, requests: float, *, process: str = "a/web-0", life: str = "1", at: float | None = None) -> Report:
    spread = Spread(requests / 10, {-20: int(requests)})
    moment = BEGIN + up if at is None else at
    return Report(
        process, "web", life, moment, up, {"web.requests": requests}, {"web.ready": 1}, {"web.answers": spread}
    )


def rates(looks: Sequence[Look]) -> list[float | None]:
    return [look.rate("web.requests") for look in looks]


def test_the_first_look_has_no_rates_and_says_whose_it_lacks() -> None:
    seen = reports()
    first = seen.compare([told(100, 500)], BEGIN + 100)
    assert first.rate("web.requests") is None
    assert first.gauges("web.ready") == [1]
    with pytest.raises(Unavailable, match="one report more is needed of a/web-0"):
        first.whole("web.ready")
    second = seen.compare([told(115, 530)], BEGIN + 115)
    second.whole("web.ready")
    assert second.rate("web.requests") == pytest.approx(2)
    assert second.histogram("web.answers").count == 30


def test_a_report_that_has_not_changed_keeps_its_rate_and_is_counted_once() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    looks = [seen.compare([told(115, 530)], BEGIN + at) for at in (116, 131)]
    assert rates(looks) == [pytest.approx(2), pytest.approx(2)]
    assert [look.histogram("web.answers").count for look in looks] == [30, 0]


def test_a_process_that_starts_again_begins_its_counters_anew() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    seen.compare([told(115, 530)], BEGIN + 115)
    again = seen.compare([told(10, 20, life="2", at=BEGIN + 130)], BEGIN + 130)
    assert again.rate("web.requests") == pytest.approx(2)
    assert again.histogram("web.answers").count == 20


def test_a_process_that_is_new_since_the_last_look_counts_from_its_start() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    both = seen.compare([told(115, 530), told(8, 40, process="a/web-1", at=BEGIN + 113)], BEGIN + 115)
    assert both.rate("web.requests") == pytest.approx(2 + 5)
    assert both.histogram("web.answers").count == 70
    both.whole("web.ready")


def test_a_process_that_was_there_unseen_is_not_counted_from_its_start() -> None:
    seen = reports()
    seen.compare([], BEGIN + 100)
    assert seen.compare([told(3600, 9000, at=BEGIN + 114)], BEGIN + 115).rate("web.requests") is None


def test_a_silent_process_makes_sums_unknown_until_it_counts_as_gone() -> None:
    seen = reports()
    other = "a/web-1"
    seen.compare([told(100, 0), told(100, 0, process=other)], BEGIN + 100)
    silent = told(115, 30, process=other)
    looks = {
        at: seen.compare([told(float(at), 2.0 * (at - 100)), silent], BEGIN + at) for at in (115, 145, 175, 205, 240)
    }
    assert looks[145].rate("web.requests") == pytest.approx(4)
    for at in (175, 205):
        assert looks[at].late == (other,)
        with pytest.raises(Unavailable, match="no report of a/web-1 for 45 s"):
            looks[at].whole("web.ready")
    looks[240].whole("web.ready")
    assert looks[240].rate("web.requests") == pytest.approx(2)


def test_a_silent_process_that_comes_back_goes_on_from_where_it_was() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    seen.compare([told(115, 530)], BEGIN + 115)
    assert seen.compare([told(115, 530)], BEGIN + 400).rate("web.requests") is None
    assert seen.compare([told(415, 1130)], BEGIN + 415).rate("web.requests") == pytest.approx(2)


def test_a_clock_that_jumps_changes_no_rate() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    hour = 3600
    assert seen.compare([told(100, 500)], BEGIN + hour).rate("web.requests") is None
    back = seen.compare([told(115, 530, at=BEGIN + hour + 15)], BEGIN + hour + 15)
    assert back.rate("web.requests") == pytest.approx(2)
    behind = seen.compare([told(130, 590, at=BEGIN - hour)], BEGIN - hour)
    assert behind.rate("web.requests") == pytest.approx(4)


def test_who_looks_again_after_a_break_counts_nothing_of_it() -> None:
    clock = ManualClock(0)
    seen = reports(clock.monotonic)
    seen.compare([told(100, 500)], BEGIN + 100)
    # Another process looked meanwhile, and counted these.
    clock.advance(3600)
    assert seen.compare([told(3700, 9000)], BEGIN + 3700).histogram("web.answers").count == 0
    clock.advance(15)
    assert seen.compare([told(3715, 9030)], BEGIN + 3715).histogram("web.answers").count == 30


def test_the_first_moment_of_a_process_is_no_rate_and_no_gap() -> None:
    seen = reports()
    seen.compare([told(100, 500)], BEGIN + 100)
    young = told(0.01, 3, process="a/web-1", at=BEGIN + 114)
    look = seen.compare([told(115, 530), young], BEGIN + 115)
    look.whole("web.ready")
    assert look.rate("web.requests") == pytest.approx(2)
    grown = told(15.01, 18, process="a/web-1", at=BEGIN + 129)
    assert seen.compare([told(130, 560), grown], BEGIN + 130).rate("web.requests") == pytest.approx(3)


def test_without_processes_there_is_no_data() -> None:
    with pytest.raises(Unavailable, match="no process reports workers"):
        reports().compare([told(1, 1)], BEGIN + 1).whole("workers.slots")


events = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 60), st.booleans(), st.integers(5, 20)),
    min_size=1,
    max_size=60,
)


@given(events)
def test_no_rate_is_negative_and_nothing_is_counted_twice(steps: list[tuple[str, int, bool, int]]) -> None:
    """Processes count, report, are killed and start again while somebody looks: what is seen is what was done."""
    seen, now = reports(), BEGIN
    lives: dict[str, tuple[int, float]] = {}
    counted: dict[str, int] = {}
    last: dict[str, Report] = {}
    total = found = 0
    seen.compare([], now)
    for life, (process, more, killed, seconds) in enumerate(steps):
        now += seconds
        if killed or process not in lives:
            # What it counts after its last report dies with it; here it reports whenever it counts.
            lives[process], counted[process] = (life, now - 5), 0
        counted[process] += more
        total += more
        name, start = lives[process]
        last[process] = told(now - start, counted[process], process=process, life=str(name), at=now)
        look = seen.compare(list(last.values()), now)
        assert all(grown >= 0 for one in look.processes for grown in one.counters.values())
        found += look.histogram("web.answers").count
    assert found == total


def test_parts_are_known_by_their_names() -> None:
    seen = reports()
    report = Report("a", "web", "1", BEGIN, 5, {named("jobs.ended", "video"): 1}, {named("jobs.slots", "mail/2"): 1})
    look = seen.compare([report], BEGIN)
    assert look.parts("jobs.ended") == ["video"]
    assert look.parts("jobs.slots") == ["mail/2"]
    parts = joined([Told({"a": 1.0}), Told({"b": 2.0}, {"c": 3.0})])
    assert (parts.counters, parts.gauges) == ({"a": 1.0, "b": 2.0}, {"c": 3.0})
