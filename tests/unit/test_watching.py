"""What events are taken, and what they add up to."""

import random
from itertools import pairwise
from typing import Any

import pytest

from atomic_guide.clock import iso
from atomic_guide.course.watching.event import BATCH, Event, read_events
from atomic_guide.course.watching.spans import Spans, add, length, read_spans, write_spans
from atomic_guide.course.watching.tally import Progress, Sent, Tally
from atomic_guide.errors import Invalid
from tests.watching import LECTURE, body, event, watched

NOW = 1_700_000_000.0
DAY = 86400.0


def reasons(*events: dict[str, Any]) -> list[str]:
    return [one.reason for one in read_events(body(*events), NOW, 7)[1]]


def test_every_type_is_taken_with_what_it_needs() -> None:
    events = [
        event("opened", NOW),
        event("played", NOW, video=LECTURE, position=3.5),
        event("paused", NOW, video=LECTURE, position=7),
        watched(NOW, 3, 7),
        event("finished", NOW, video=LECTURE),
        event("captions", NOW, video=LECTURE, lang="de"),
    ]
    taken, refused = read_events(body(*events), NOW, 7)
    assert refused == []
    assert [one.type for one in taken] == [one["type"] for one in events]
    assert taken[3] == Event(events[3]["id"], "watched", NOW, LECTURE, 3.0, 7.0, "")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (event("liked", NOW), "Invalid enum value"),
        (event("played", NOW, video=LECTURE), "needs position in data"),
        (event("watched", NOW, video=LECTURE, to=5), "needs from in data"),
        (watched(NOW, 5, 5), "from must be before to"),
        (watched(NOW, 0, 3601), "at most 3600 s"),
        (event("played", NOW, video=LECTURE, position=1e9), "<= 43200"),
        (event("opened", NOW, "x" * 65), "length <= 64"),
        (event("opened", NOW, "with space"), "matching regex"),
        (event("opened", NOW, other=1), "unknown field"),
        (event("opened", NOW + 301), "lies in the future"),
        (event("opened", NOW - 7 * DAY - 1), "more than 7 days ago"),
        ({"id": "a", "type": "opened", "at": "yesterday", "data": {}}, "not an ISO 8601 time"),
        ({"id": "a", "type": "opened", "at": 7, "data": {}}, "Expected `str`"),
        ({"type": "opened", "at": iso(NOW)}, "missing required field `id`"),
    ],
)
def test_one_that_cannot_be_taken_is_refused_alone(wrong: dict[str, Any], reason: str) -> None:
    taken, refused = read_events(body(event("opened", NOW, "before"), wrong, event("opened", NOW, "after")), NOW, 7)
    assert [one.id for one in taken] == ["before", "after"]
    assert [(one.number, one.id) for one in refused] == [(2, wrong.get("id", "")[:64])]
    assert reason in refused[0].reason


@pytest.mark.parametrize("wrong", [b"", b"[]", b'{"events": 1}', b'{"events": [], "x": 1}', b"\xff", b"[" * 100_000])
def test_a_body_of_another_form_is_invalid(wrong: bytes) -> None:
    with pytest.raises(Invalid):
        read_events(wrong, NOW, 7)


def test_more_than_a_hundred_are_invalid_together() -> None:
    events = [event("opened", NOW) for _ in range(BATCH + 1)]
    assert len(read_events(body(*events[:-1]), NOW, 7)[0]) == BATCH
    with pytest.raises(Invalid, match="at most 100"):
        read_events(body(*events), NOW, 7)


def seconds(spans: Spans) -> set[int]:
    return {second for start, end in spans for second in range(start, end)}


def test_spans_are_the_seconds_that_were_added() -> None:
    chance = random.Random(11)
    for _ in range(200):
        spans: Spans = []
        model: set[int] = set()
        for _ in range(12):
            start = chance.randrange(60)
            end = start + chance.randrange(1, 15)
            spans, fresh = add(spans, start, end)
            assert seconds(fresh) == set(range(start, end)) - model
            model |= set(range(start, end))
            assert seconds(spans) == model
            assert length(spans) == len(model)
            assert all(one[1] < other[0] for one, other in pairwise(spans))
            assert read_spans(write_spans(spans)) == spans


def tallied(*events: tuple[str, bool, dict[str, Any]], duration: float | None = 300.0) -> Tally:
    tally = Tally({LECTURE: duration}, [])
    for user, learner, one in events:
        (taken,), _ = read_events(body(one), NOW + 10 * DAY, 90)
        tally.add(Sent(user, learner, taken))
    return tally


def test_seconds_are_counted_for_each_viewer_once_and_for_each_play() -> None:
    tally = tallied(
        ("ada", True, watched(NOW, 50, 70)),
        ("bob", True, watched(NOW + 1, 60, 65)),
        ("ada", True, watched(NOW + 2, 60, 80)),
    )
    first, second = tally.blocks[LECTURE, 0], tally.blocks[LECTURE, 1]
    assert first.viewers[50:] == [1] * 10
    assert second.viewers == [2] * 5 + [1] * 15 + [0] * 40
    assert second.plays == [3] * 5 + [2] * 5 + [1] * 10 + [0] * 40
    ada = tally.progress["ada", LECTURE]
    assert (ada.seconds, ada.watched, ada.rewatched) == ("50-80", 30, 10)
    sums = tally.sums[LECTURE]
    assert (sums.views, sums.viewers, sums.watched, sums.rewatched) == (2, 2, 45, 10)


def test_playing_again_is_another_view_only_after_half_an_hour() -> None:
    def played(at: float) -> tuple[str, bool, dict[str, Any]]:
        return ("ada", True, event("played", at, video=LECTURE, position=0))

    tally = tallied(played(NOW), played(NOW + 60), played(NOW + 60 + 1799), played(NOW + 60 + 1799 + 1801))
    assert (tally.sums[LECTURE].views, tally.sums[LECTURE].viewers) == (2, 1)


def test_where_to_go_on_is_what_the_latest_event_says() -> None:
    tally = tallied(
        ("ada", True, watched(NOW + 10, 0, 10)),
        ("ada", True, event("paused", NOW + 30, video=LECTURE, position=30.5)),
        ("ada", True, watched(NOW + 20, 10, 20)),
    )
    assert (tally.progress["ada", LECTURE].position, tally.progress["ada", LECTURE].position_at) == (30.5, NOW + 30)
    assert tally.activity["ada"].last_at == NOW + 30


def test_after_its_end_a_lecture_begins_anew() -> None:
    end = ("ada", True, event("finished", NOW + 5, video=LECTURE))
    tally = tallied(("ada", True, watched(NOW, 290, 300)), end, end)
    assert tally.progress["ada", LECTURE].position == 0.0
    assert tally.progress["ada", LECTURE].finished_at == NOW + 5
    assert tally.sums[LECTURE].finished == 1


def test_instructors_have_a_place_to_go_on_and_are_in_no_figure() -> None:
    tally = tallied(("teacher", False, watched(NOW, 0, 10)))
    assert tally.progress["teacher", LECTURE] == Progress(
        "teacher", LECTURE, 10.0, NOW, "0-10", watched=10, views=1, last_at=NOW
    )
    assert (tally.sums, tally.blocks) == ({}, {})


def test_what_is_beyond_the_end_or_about_no_lecture_counts_nothing() -> None:
    tally = tallied(
        ("ada", True, watched(NOW, 280, 340)),
        ("ada", True, watched(NOW, 340, 350)),
        ("bob", True, watched(NOW, 0, 10, video="v9999999999999999")),
        duration=299.2,
    )
    assert tally.progress["ada", LECTURE].seconds == "280-300"
    assert tally.sums[LECTURE].viewers == 1
    assert set(tally.progress) == {("ada", LECTURE)}
    assert tally.activity["bob"].last_at == NOW
