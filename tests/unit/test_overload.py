"""When load is shed, in which order, and when it is taken again."""

import asyncio
import time

import msgspec
import pytest

from atomic_guide.app.doctor_resilience import look_at_shedding
from atomic_guide.config import Settings
from atomic_guide.engines.rooms.people import Hush
from atomic_guide.errors import Overloaded
from atomic_guide.operations.scaling.reports import Report
from atomic_guide.web.overload import ORDER, Change, Overload, SheddingSettings, Signals, watch
from atomic_guide.web.table import DECLARED

CALM, LATE = Signals(0.001), Signals(2.0)
SETTINGS = SheddingSettings(rise_seconds=2, calm_seconds=10)


def levels(overload: Overload, signals: Signals, seconds: float, begin: float = 0.0) -> list[int]:
    """The level after each eighth of a second."""
    found = []
    for tick in range(1, round(seconds * 8) + 1):
        overload.observe(signals, begin + tick / 8, 0.0)
        found.append(overload.level)
    return found


def test_classes_go_one_after_the_other_and_come_back_the_same_way() -> None:
    overload = Overload(SETTINGS)
    risen = levels(overload, LATE, 10)
    # A tick more, in which it is seen for the first time.
    assert [risen.count(level) for level in (0, 1, 2)] == [16, 17, 17]
    assert risen[-1] == 3
    fallen = levels(overload, CALM, 40, 10)
    assert [fallen.count(level) for level in (3, 2, 1)] == [80, 81, 81]
    assert fallen[-1] == 0
    assert [(change.before, change.after) for change in overload.changes] == [
        (0, 1), (1, 2), (2, 3), (3, 2), (2, 1), (1, 0),
    ]  # fmt: skip
    assert all(change.reason for change in overload.changes)


def test_a_moment_of_it_is_no_overload_and_a_moment_without_it_is_no_calm() -> None:
    overload = Overload(SETTINGS)
    for begin in range(0, 60, 3):
        assert set(levels(overload, LATE, 1.875, begin)) | set(levels(overload, CALM, 1, begin + 2)) == {0}
    levels(overload, LATE, 2.5, 100)
    for begin in range(110, 200, 10):
        # Between the level's values and their release, and just before it has been calm for long enough.
        assert set(levels(overload, Signals(0.07), 0.5, begin)) | set(levels(overload, CALM, 9.375, begin + 0.5)) == {1}


@pytest.mark.parametrize(
    ("signals", "level", "word"),
    [
        (Signals(lag=0.15), 1, "late"),
        (Signals(lag=0.25), 2, "late"),
        (Signals(waiting=0.3), 1, "queue"),
        (Signals(waiting=0.6), 2, "queue"),
        (Signals(waiting=0.8), 3, "queue"),
        (Signals(cpu=0.99), 1, "core"),
        (Signals(lag=0.09, waiting=0.2, cpu=0.9), 0, ""),
    ],
)
def test_each_signal_is_enough_and_says_why(signals: Signals, level: int, word: str) -> None:
    overload = Overload(SETTINGS)
    levels(overload, signals, 30)
    assert overload.level == level
    assert all(word in change.reason for change in overload.changes)


def test_who_is_refused_is_told_when_to_come_again_and_counted() -> None:
    overload = Overload(SETTINGS)
    for kind in ORDER:
        overload.check(kind)
    levels(overload, LATE, 4.5)
    overload.check("uploads")
    waits = set()
    for _ in range(20):
        with pytest.raises(Overloaded) as refused:
            overload.check("analytics")
        assert (refused.value.status, refused.value.details) == (503, {"shed": "analytics"})
        waits.add(refused.value.retry_after)
    assert len(waits) > 10, "not all come again at once"
    assert all(10 <= (wait or 0) <= 20 for wait in waits)
    assert overload.shed == {"typing": 0, "analytics": 20, "uploads": 0}


def test_switched_off_nothing_is_shed_and_what_was_is_taken_again() -> None:
    overload = Overload(SheddingSettings(enabled=False))
    levels(overload, LATE, 10)
    assert overload.level == 0


def test_only_events_and_uploads_can_be_refused() -> None:
    shed = {(row.method, row.path): row.shed for row in DECLARED if row.shed is not None}
    assert shed == {
        ("POST", "/api/analytics/events"): "analytics",
        ("POST", "/api/video/upload"): "uploads",
        ("PATCH", "/api/video/upload/{id}"): "uploads",
    }


async def test_a_loop_that_is_held_up_is_measured() -> None:
    overload = Overload(SheddingSettings(rise_seconds=0.0))
    told: list[Change] = []
    watching = asyncio.create_task(watch(overload, lambda: 0.0, told.append))
    for _ in range(40):
        await asyncio.sleep(0.01)
        time.sleep(0.4)  # noqa: ASYNC251 - that is what is measured
        if told:
            break
    watching.cancel()
    assert told
    assert "late" in told[0].reason or "core" in told[0].reason


def report(process: str, **gauges: float) -> Report:
    return Report(
        process, "web", "life", 0.0, 100.0, {}, {name.replace("_", ".", 1): value for name, value in gauges.items()}, {}
    )


def test_the_doctor_says_what_is_shed() -> None:
    settings, calm = Settings(), report("a", web_shedding=0, web_loop_lag=0.002)
    assert look_at_shedding(settings, [])[1] == ""
    assert look_at_shedding(settings, [calm]) == ("nothing is shed; the latest loop is 2.0 ms late", "")
    text, remedy = look_at_shedding(settings, [calm, report("b", web_shedding=2, web_loop_lag=0.3)])
    assert text == "typing, analytics are shed by b"
    assert remedy
    off = msgspec.convert({"resilience": {"shedding": {"enabled": False}}}, Settings)
    assert look_at_shedding(off, [calm])[1] == "set resilience.shedding.enabled"


def test_a_hush_is_off_at_first() -> None:
    hush = Hush()
    assert (hush.on, hush.dropped) == (False, 0)
