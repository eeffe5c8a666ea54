"""In which order jobs are claimed. Pure: no clock, no I/O; facts come from the server, never from a client.

A job's facts are worth points (`Weights`), and points are worth seconds: with all of them, the settings'
`ageing_seconds`. A job waits in the order of

    rank = start - boost,  where  boost = ageing_seconds * priority / (all points)

and the smallest rank is claimed first. That is ageing at the same speed for every job, the largest of

    priority + waited * (all points) / ageing_seconds

written so that it does not change while the job waits: Jackson's dynamic priorities (J. R. Jackson, Some problems in
queueing with dynamic priorities, Naval Research Logistics Quarterly 7, 1960). So one index keeps the order, and a job
of the lowest class is overtaken only by jobs that start less than `ageing_seconds` after it.

The start is when a job arrives, unless its tenant already has jobs of this queue and boost waiting: then it is where
the last of them ends, each taking the queue's `spacing_seconds`. These are the start tags of start-time fair queueing
(P. Goyal, H. M. Vin, H. Cheng, Start-time Fair Queueing, SIGCOMM 1996), with the time of day as their clock: ten
thousand jobs of one tenant stand in the order of the next hours, and another tenant's single job stands before all
but the first.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal, NamedTuple

import msgspec

from atomic_guide.setting import setting


class PrioritySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job's facts are worth."""

    preset: Annotated[
        Literal["ranks", "guide"],
        setting(
            "ranks: a live course before an instructor before a short video, whatever the others say;"
            " guide: points 15 for live, 10 for short, 5 for an instructor, added up.",
            "name",
        ),
    ] = "ranks"
    ageing_seconds: Annotated[
        float,
        setting(
            "A job with no precedence is overtaken only by jobs that come less than this after it."
            " Four hours: longer than a teaching session, so that its videos go first; shorter than a working day.",
            "s",
            ge=0,
            le=30 * 86400,
        ),
    ] = 4 * 3600.0
    short_seconds: Annotated[
        float,
        setting("Videos below this duration are short.", "s", ge=0, le=86400),
    ] = 300.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the server knows of a job: a live session of its course, its publisher's stored role, seconds of video.

    `duration` is what was measured; None where nothing has been measured, which is worth nothing.
    """

    live: bool = False
    instructor: bool = False
    duration: float | None = None


class Weights(NamedTuple):
    """Points for each fact that holds."""

    live: float
    instructor: float
    short: float


PRESETS = {
    # Powers of two: no sum of lesser facts reaches the next greater one.
    "ranks": Weights(live=4, instructor=2, short=1),
    "guide": Weights(live=15, instructor=5, short=10),
}


class Decision(msgspec.Struct, frozen=True):
    """A job's priority in points, the seconds that those are worth, and why as JSON: the preset, points by fact."""

    priority: float
    boost: float
    why: str


@functools.lru_cache(maxsize=256)
def decide(facts: Facts, settings: PrioritySettings) -> Decision:
    """What a job's facts are worth."""
    weights = PRESETS[settings.preset]
    held = {
        "live": facts.live,
        "instructor": facts.instructor,
        "short": facts.duration is not None and facts.duration < settings.short_seconds,
    }
    points = {fact: points for fact, points in weights._asdict().items() if held[fact]}
    priority = float(sum(points.values()))
    boost = settings.ageing_seconds * priority / sum(weights)
    why = {"preset": settings.preset, **points, "boost_seconds": round(boost, 3)}
    return Decision(priority, boost, msgspec.json.encode(why).decode())


@functools.lru_cache(maxsize=256)
def foremost(why: str | None) -> str:
    """The foremost fact in a decision's `why`: live, instructor, short or none."""
    facts = msgspec.json.decode(why) if why else {}
    return next((fact for fact in Weights._fields if facts.get(fact)), "none")


def live_boost(settings: PrioritySettings) -> float:
    """The seconds that a live session alone is worth."""
    return decide(Facts(live=True), settings).boost


Flow = tuple[str, str, float]
"""What shares a sequence of tags: queue, tenant, boost."""


class Turn(NamedTuple):
    """A job's place: where it starts in the order, and where the next of its flow may."""

    rank: float
    tag: float


class Turns:
    """Gives jobs their places, one after the other. `tags` are where the waiting jobs of each flow end."""

    def __init__(self, tags: dict[Flow, float]) -> None:
        self._tags = tags

    def take(self, flow: Flow, arrival: float, spacing: float) -> Turn:
        """The place of the next job of a flow that arrives at a moment, seconds since the epoch."""
        (rank,), tag = self.take_many(flow, arrival, spacing, 1)
        return Turn(rank, tag)

    def take_many(self, flow: Flow, arrival: float, spacing: float, count: int) -> tuple[list[float], float]:
        """The places in the order of that many jobs of a flow that arrive together, and where the next of it may be."""
        start = max(arrival, self._tags.get(flow, arrival))
        self._tags[flow] = tag = start + spacing * count
        first = start - flow[2]
        return [first + spacing * number for number in range(count)], tag
