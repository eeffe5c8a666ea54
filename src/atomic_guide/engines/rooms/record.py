"""What has been changed in a room: messages deleted, people muted, its state. Sans-I/O.

The database counts the changes of each room: its revision. A `Record` is what one process knows of them; it takes in
what the database says and gives the frames that tell the members. What it cannot tell one by one it says so of, so
that members read anew instead of missing something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from atomic_guide.engines.rooms.wire import text_frame

DELETIONS_LIMIT = 1000
"""Deletions that are told one by one; 36 kB of frames. Retention and erasure make more, of messages that hardly
anybody has on the screen."""

AWAY_SECONDS = 86400.0
"""Whoever comes back without saying which revision they know hears of the deletions of so long: twice the life of a
session, so that they cannot have seen anything older that is gone since."""

MUTES_SHOWN = 200
"""Muted people listed in `welcome`."""

Shown = Mapping[str, Any]


class Standing(NamedTuple):
    """Where a room stands: its newest message's number, and its revision."""

    last_seq: int
    revision: int


class Deletion(NamedTuple):
    """A message that was deleted at a revision; `at` in seconds since the epoch."""

    revision: int
    seq: int
    at: float


class Changes(NamedTuple):
    """What the database says of a room at a revision.

    `state` is shown in `welcome` and `room` frames, `muted` by person in `muted` frames. `deletions` are the newest
    ones after the revision that was asked for, oldest first; `whole` is False where there were more. `ends_at` is
    when some of it ends by itself, seconds since the epoch.
    """

    revision: int
    state: Shown
    muted: Mapping[str, Shown]
    deletions: list[Deletion]
    whole: bool = True
    ends_at: float | None = None


class Told(NamedTuple):
    """What to tell the members: frames in order, and the numbers of deleted messages among them.

    `whole` is False where there were more deletions than are told.
    """

    frames: list[bytes]
    deleted: list[int]
    whole: bool


class _Event(NamedTuple):
    number: int
    revision: int
    seq: int | None
    at: float
    frame: bytes


class Record:
    """The changes of one room as a process knows them."""

    __slots__ = ("_events", "_floor", "_muted", "_state", "ends_at", "number", "revision")

    def __init__(self) -> None:
        self.revision = -1
        """The newest revision that is taken in; -1 before the first."""
        self.number = 0
        """Counts what was told, so that who joins meanwhile can be told the rest."""
        self.ends_at: float | None = None
        self._state: Shown = {}
        self._muted: Mapping[str, Shown] = {}
        self._events: list[_Event] = []
        # Up to this revision, deletions may have been left out.
        self._floor = 0

    def take(self, changes: Changes) -> Told:
        """What the database says now; how the members learn of it."""
        events: list[tuple[int, int | None, float, bytes]] = [
            (one.revision, one.seq, one.at, _deleted(one)) for one in changes.deletions
        ]
        here = changes.revision
        if self.revision >= 0:
            if changes.state != self._state:
                events.append((here, None, 0.0, text_frame("room", {**changes.state, "revision": here})))
            events += [(here, None, 0.0, frame) for frame in _mutes(self._muted, changes.muted, here)]
        if changes.revision < self.revision or not changes.whole:
            # A backup was put back, or not all of it is known: whoever knows less reads anew.
            self._events.clear()
            self._floor = changes.deletions[0].revision if changes.deletions else changes.revision
        self.revision, self.ends_at = changes.revision, changes.ends_at
        self._state, self._muted = changes.state, changes.muted
        for number, event in enumerate(events, self.number + 1):
            self._events.append(_Event(number, *event))
        self.number += len(events)
        if len(self._events) > 2 * DELETIONS_LIMIT:
            self._floor = max(self._floor, self._events[-DELETIONS_LIMIT - 1].revision)
            del self._events[:-DELETIONS_LIMIT]
        frames = [frame for *_, frame in events]
        return Told(frames, [one.seq for one in changes.deletions], changes.whole)

    def shown(self, user: str) -> dict[str, Any]:
        """What `welcome` says to a person."""
        mutes = [{**shown} for shown in list(self._muted.values())[:MUTES_SHOWN]]
        return {**self._state, "muted": user in self._muted, "mutes": mutes, "revision": max(self.revision, 0)}

    def told_since(self, number: int) -> list[bytes] | None:
        """The frames that were told after a `number`; None where they are forgotten."""
        if number < self.number and (not self._events or self._events[0].number > number + 1):
            return None
        return [event.frame for event in self._events if event.number > number]

    def deleted_since(self, revision: int | None, last: int, now: float) -> list[bytes] | None:
        """What somebody who comes back must hear of the messages up to `last`, which they have.

        `revision` is the one that they know. None where that is too long ago, so that they read anew.
        """
        if revision is None:
            chosen: Iterable[_Event] = (event for event in self._events if event.at >= now - AWAY_SECONDS)
        elif self._floor <= revision <= self.revision:
            chosen = (event for event in self._events if event.revision > revision)
        else:
            return None
        return [event.frame for event in chosen if event.seq is not None and event.seq <= last]

    def deleted(self) -> set[int]:
        """The numbers of the messages that are known to have been deleted lately."""
        return {event.seq for event in self._events if event.seq is not None}


def _deleted(one: Deletion) -> bytes:
    return text_frame("deleted", {"seq": one.seq, "revision": one.revision})


def _mutes(before: Mapping[str, Shown], after: Mapping[str, Shown], revision: int) -> list[bytes]:
    new = [{**shown, "muted": True} for user, shown in after.items() if before.get(user) != shown]
    over = [{**shown, "until": None, "muted": False} for user, shown in before.items() if user not in after]
    return [text_frame("muted", {**shown, "revision": revision}) for shown in (*new, *over)]
