"""Which moments the marks of a log reach."""

import json
from pathlib import Path

import pytest

from atomic_guide.clock import iso
from atomic_guide.engines.data.wal.marks import HOLE_SECONDS, Mark, append_mark, find, prune, spans
from atomic_guide.errors import Invalid, NotFound

START = 1_764_201_600.0
HOUR = 3600.0


def mark(at: float, position: int = 1) -> Mark:
    return Mark(START + at, START + at + 0.005, {"directory": position})


def written(log: Path, timeline: str, *seconds: float) -> Path:
    (log / timeline).mkdir(parents=True)
    for number, at in enumerate(seconds, 1):
        append_mark(log / timeline, mark(at, number))
    return log / timeline


def test_the_newest_mark_that_ended_by_the_moment_is_found(tmp_path: Path) -> None:
    written(tmp_path, "20251127T000000Z-a", 0, 1, 2)
    assert find(tmp_path, START + 1.5).mark.positions == {"directory": 2}
    # A mark that was still being made at that moment holds what came after it.
    assert find(tmp_path, START + 2.004).mark.positions == {"directory": 2}
    assert find(tmp_path, START + 2.005).mark.positions == {"directory": 3}
    assert find(tmp_path, None).mark.positions == {"directory": 3}


def test_a_moment_without_marks_near_it_is_a_hole(tmp_path: Path) -> None:
    written(tmp_path, "20251127T000000Z-a", 0, 1, 1 + HOLE_SECONDS + 0.1, 60)
    assert len(spans(tmp_path)) == 2
    with pytest.raises(NotFound, match=r"the log has a hole there; it reaches from .* to .*, and from "):
        find(tmp_path, START + 10)
    with pytest.raises(NotFound, match="the log ends before"):
        find(tmp_path, START + 61)
    with pytest.raises(NotFound, match=f"the log begins later; it reaches from {iso(START + 0.005)} to "):
        find(tmp_path, START - 1)


def test_the_window_that_is_shown_can_be_asked_for(tmp_path: Path) -> None:
    written(tmp_path, "20251127T000000Z-a", 0, 1)
    (span,) = spans(tmp_path)
    for shown in (span.first, span.last):
        assert find(tmp_path, shown.until).mark == shown


def test_a_line_that_a_crash_left_half_written_is_passed_over(tmp_path: Path) -> None:
    timeline = written(tmp_path, "20251127T000000Z-a", 0, 1)
    (hour,) = (timeline / "marks").iterdir()
    whole = hour.read_bytes()
    hour.write_bytes(whole[:-10])
    append_mark(timeline, mark(2, 3))
    assert [span.last.positions for span in spans(tmp_path)] == [{"directory": 3}]
    assert find(tmp_path, START + 1.5).mark.positions == {"directory": 1}


def test_what_is_no_mark_is_refused(tmp_path: Path) -> None:
    timeline = written(tmp_path, "20251127T000000Z-a", 0)
    (hour,) = (timeline / "marks").iterdir()
    hour.write_bytes(json.dumps({"other": 1}).encode() + b"\n")
    with pytest.raises(Invalid, match=r"line 1 of .* is no mark"):
        spans(tmp_path)


def test_timelines_follow_one_another(tmp_path: Path) -> None:
    written(tmp_path, "20251127T000000Z-a", 0, 1, 2)
    written(tmp_path, "20251127T010000Z-b", 10, 11)
    assert find(tmp_path, START + 1).timeline.name.endswith("-a")
    assert find(tmp_path, START + 10.5).timeline.name.endswith("-b")


def test_old_marks_go_hour_by_hour_and_old_timelines_as_a_whole(tmp_path: Path) -> None:
    written(tmp_path, "20251127T000000Z-a", 0, HOUR)
    written(tmp_path, "20251127T030000Z-b", 3 * HOUR, 4 * HOUR, 5 * HOUR)
    assert prune(tmp_path, "20251127T030000Z-b", START + 2 * HOUR) == []
    assert prune(tmp_path, "20251127T030000Z-b", START + 4.5 * HOUR) == ["20251127T000000Z-a"]
    assert [path.name for path in tmp_path.iterdir()] == ["20251127T030000Z-b"]
    assert [span.first.at for span in spans(tmp_path)] == [START + 4 * HOUR, START + 5 * HOUR]
    # The one that is written on stays, however old its last mark is.
    assert prune(tmp_path, "20251127T030000Z-b", START + 99 * HOUR) == []
    assert (tmp_path / "20251127T030000Z-b").is_dir()
