"""What events change: where each person is in each lecture, and the sums over all. Pure.

Sums count learners; an instructor who looks at a lecture has a place to go on from, and is in no figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from atomic_guide.course.watching.event import Event
from atomic_guide.course.watching.spans import add, length, read_spans, write_spans

BLOCK = 60
"""Seconds of a lecture whose counts stand in one row: ten seconds that were watched change one or two rows of 300 B."""

VIEW_SECONDS = 1800.0
"""Playing a lecture again after this pause is another view, as web statistics part visits (half an hour)."""


class Progress(msgspec.Struct):
    """One person and one lecture; times are seconds since the epoch."""

    user: str
    video: str
    position: float = 0.0
    """Where to go on, in seconds of the lecture."""
    position_at: float = 0.0
    seconds: str = ""
    """What was seen, as spans."""
    watched: int = 0
    rewatched: int = 0
    views: int = 0
    finished_at: float | None = None
    last_at: float = 0.0


class Sums(msgspec.Struct):
    """What is added to a lecture's figures."""

    views: int = 0
    viewers: int = 0
    finished: int = 0
    captions: int = 0
    watched: int = 0
    rewatched: int = 0
    last_at: float = 0.0


class Seen(msgspec.Struct):
    """What is added to one person's activity in the course."""

    last_at: float = 0.0
    opened: int = 0


class Block(msgspec.Struct):
    """What is added to the counts of a block of a lecture, one for each second."""

    viewers: list[int] = msgspec.field(default_factory=lambda: [0] * BLOCK)
    plays: list[int] = msgspec.field(default_factory=lambda: [0] * BLOCK)


class Sent(NamedTuple):
    """An event and who sent it."""

    user: str
    learner: bool
    event: Event


class Tally:
    """Adds up a batch. Events about lectures without an entry in `durations` only show that somebody was there."""

    def __init__(self, durations: dict[str, float | None], progress: Iterable[Progress]) -> None:
        self._durations = durations
        self.progress = {(one.user, one.video): one for one in progress}
        self.sums: dict[str, Sums] = {}
        self.activity: dict[str, Seen] = {}
        self.blocks: dict[tuple[str, int], Block] = {}

    def add(self, sent: Sent) -> None:
        """Count one event, in the order in which they came in."""
        event = sent.event
        seen = self.activity.setdefault(sent.user, Seen())
        seen.last_at = max(seen.last_at, event.at)
        seen.opened += event.type == "opened"
        if event.video not in self._durations:
            return
        known = self.progress.setdefault((sent.user, event.video), Progress(sent.user, event.video))
        # An instructor's changes go to sums that nobody reads.
        sums = self.sums.setdefault(event.video, Sums()) if sent.learner else Sums()
        if event.type == "played" and (not known.views or event.at - known.last_at > VIEW_SECONDS):
            sums.viewers += not known.views
            known.views += 1
            sums.views += 1
        elif event.type == "watched":
            self._watch(sent, known, sums)
        elif event.type == "finished" and known.finished_at is None:
            known.finished_at = event.at
            sums.finished += 1
        elif event.type == "captions":
            sums.captions += 1
        self._place(event, known)
        known.last_at = max(known.last_at, event.at)
        sums.last_at = max(sums.last_at, event.at)

    def _watch(self, sent: Sent, known: Progress, sums: Sums) -> None:
        event = sent.event
        duration = self._durations[event.video]
        start, end = int(event.start), int(event.end if duration is None else min(event.end, -(-duration // 1)))
        if start >= end:
            return
        if not known.views:
            # Its `played` was lost, or comes late; seconds without a viewer would make no sense.
            known.views += 1
            sums.views += 1
            sums.viewers += 1
        spans, fresh = add(read_spans(known.seconds), start, end)
        new = length(fresh)
        known.seconds = write_spans(spans)
        known.watched += new
        known.rewatched += end - start - new
        sums.watched += end - start
        sums.rewatched += end - start - new
        if sent.learner:
            self._count("plays", event.video, (start, end))
            for span in fresh:
                self._count("viewers", event.video, span)

    def _count(self, what: str, video: str, span: tuple[int, int]) -> None:
        for number in range(span[0] // BLOCK, (span[1] - 1) // BLOCK + 1):
            counts: list[int] = getattr(self.blocks.setdefault((video, number), Block()), what)
            first = number * BLOCK
            for second in range(max(span[0] - first, 0), min(span[1] - first, BLOCK)):
                counts[second] += 1

    def _place(self, event: Event, known: Progress) -> None:
        """Where the person is, by the latest event that says it; after the end, at the beginning again."""
        places = {"played": event.start, "paused": event.start, "watched": event.end, "finished": 0.0}
        if event.type in places and event.at >= known.position_at:
            known.position, known.position_at = places[event.type], event.at
