"""How lectures are watched: figures and curves for instructors, and for everybody how far they are themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.watching.taking import QUERIES
from atomic_guide.course.watching.tally import BLOCK
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.database import Row
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards

LECTURES = 500
"""As many lectures as the list of videos shows."""

PEOPLE = 1000
"""People of one answer, those who were there last; a page shows no more."""

POINTS = 300
"""Points of a curve unless its step is asked for: as many as a picture of a page's width can show."""


class LectureFigures(msgspec.Struct, frozen=True):
    """How learners watched one lecture. Times of watching are seconds of the lecture."""

    id: str
    title: str
    duration: float | None
    views: int
    viewers: int
    finished: int
    captions: int
    watched_seconds: int
    rewatched_seconds: int
    last_at: str | None


class Curve(msgspec.Struct, frozen=True):
    """For each part of `step` seconds: how many saw a second of it, and how often one was played, on average."""

    step: int
    viewers: list[float]
    plays: list[float]


class Viewer(msgspec.Struct, frozen=True):
    """One learner and one lecture. `watched` is the share of the lecture that was seen, 0 to 1."""

    user: str
    name: str
    watched: float
    rewatched_seconds: int
    views: int
    position: float
    finished_at: str | None
    last_at: str


class LectureReport(msgspec.Struct, frozen=True):
    """One lecture with its curve and its viewers."""

    lecture: LectureFigures
    curve: Curve
    viewers: list[Viewer]


class Student(msgspec.Struct, frozen=True):
    """When a learner was last there, and how many lectures were begun; None where there was no sign yet."""

    user: str
    name: str
    last_at: str | None
    lectures: int


class OwnProgress(msgspec.Struct, frozen=True):
    """How far the caller is in a lecture: where to go on, since when, and what share was seen."""

    id: str
    position: float
    position_at: str
    watched: float
    finished: bool
    last_at: str


class WatchReport(msgspec.Struct, frozen=True):
    """The caller's own progress; for instructors every lecture and every learner too."""

    own: list[OwnProgress]
    lectures: list[LectureFigures] | None = None
    students: list[Student] | None = None


class Lectures:
    """Reads how the lectures of an installation are watched."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def for_student(self, key: CourseKey, user: str) -> WatchReport:
        """How far a person is in each lecture."""
        return WatchReport(await self._own(key, user))

    async def for_instructor(self, key: CourseKey, user: str) -> WatchReport:
        """Every lecture and every learner of the course."""
        database = self._shards.of(key)
        figures = await database.read(QUERIES["list_figures"], {**key.columns, "limit": LECTURES})
        people = await database.read(QUERIES["list_activity"], {**key.columns, "limit": PEOPLE})
        students = [
            Student(row["user"], row["name"], iso(row["last_at"]) if row["last_at"] else None, row["begun"])
            for row in people
        ]
        return WatchReport(await self._own(key, user), [_figures(row) for row in figures], students)

    async def of(self, key: CourseKey, video: str, step: int | None = None) -> LectureReport:
        """One lecture, with `step` seconds in each point of its curve. Raises `NotFound`."""
        database, params = self._shards.of(key), {**key.columns, "video": video, "limit": PEOPLE}
        row = await database.one(QUERIES["find_figures"], params)
        if row is None:
            raise NotFound(f"there is no video {video[:40]} in this course")
        blocks = await database.read(QUERIES["read_curve"], params)
        viewers = [_viewer(one, row["duration"]) for one in await database.read(QUERIES["list_viewers"], params)]
        return LectureReport(_figures(row), _curve(blocks, row["duration"], step), viewers)

    async def _own(self, key: CourseKey, user: str) -> list[OwnProgress]:
        params = {**key.columns, "user": user, "limit": LECTURES}
        return [
            OwnProgress(
                id=row["video"],
                position=row["position"],
                position_at=iso(row["position_at"]),
                watched=_share(row["watched"], row["duration"]),
                finished=row["finished_at"] is not None,
                last_at=iso(row["last_at"]),
            )
            for row in await self._shards.of(key).read(QUERIES["list_own"], params)
        ]


def _figures(row: Row) -> LectureFigures:
    return LectureFigures(
        id=row["id"],
        title=row["title"],
        duration=row["duration"],
        views=row["views"] or 0,
        viewers=row["viewers"] or 0,
        finished=row["finished"] or 0,
        captions=row["captions"] or 0,
        watched_seconds=row["watched"] or 0,
        rewatched_seconds=row["rewatched"] or 0,
        last_at=iso(row["last_at"]) if row["last_at"] else None,
    )


def _viewer(row: Row, duration: float | None) -> Viewer:
    return Viewer(
        user=row["user"],
        name=row["name"],
        watched=_share(row["watched"], duration),
        rewatched_seconds=row["rewatched"],
        views=row["views"],
        position=row["position"],
        finished_at=iso(row["finished_at"]) if row["finished_at"] else None,
        last_at=iso(row["last_at"]),
    )


def _share(watched: int, duration: float | None) -> float:
    return round(min(watched / math.ceil(duration), 1.0), 4) if duration else 0.0


def _curve(blocks: Sequence[Row], duration: float | None, step: int | None) -> Curve:
    last = (blocks[-1]["block"] + 1) * BLOCK if blocks else 0
    seconds = math.ceil(duration) if duration else last
    step = step or max(1, math.ceil(seconds / POINTS))
    counts: dict[str, list[int]] = {"viewers": [0] * seconds, "plays": [0] * seconds}
    for row in blocks:
        first = row["block"] * BLOCK
        for name, each in counts.items():
            kept = msgspec.json.decode(row[name], type=list[int])
            each[first : first + BLOCK] = kept[: max(0, seconds - first)]
    return Curve(step, _means(counts["viewers"], step), _means(counts["plays"], step))


def _means(counts: list[int], step: int) -> list[float]:
    parts = (counts[start : start + step] for start in range(0, len(counts), step))
    return [round(sum(part) / len(part), 2) for part in parts]
