"""The people of a room, as its members and the other processes are told of them.

Comings and goings are collected for a tenth of a second. In a room of usual size each is told by name. In a big one
members get the count, once a second, and names of instructors only; when it has become small again, everybody is
listed once. Other processes always get all names, in one notice for each tenth of a second, with revisions (see
`presence`); a process that finds that it has missed something asks for the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.bus import Notice, listed
from atomic_guide.engines.rooms.presence import Heard, Person, Presence
from atomic_guide.engines.rooms.settings import (
    COUNTED_SECONDS,
    HUSHED_SECONDS,
    LATE_LIMIT,
    LATE_SECONDS,
    MEMBERS_SHOWN,
    MOVES_LIMIT,
    TYPING_LIMIT,
)

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.rooms.settings import RoomSettings

Late = tuple[bytes, str | None]
"""A frame for the members, and who does not get it: nobody hears of themselves."""

_TYPING_SECONDS = 1.0
_ASK_SECONDS = 1.0
_SMALL_AGAIN = 0.9
"""The share of the limit below which a big room is small again: around the limit it must not change every moment."""


class Hush:
    """Whether rooms of a process say less because it has too much to do; `dropped` counts who typed and was not told.

    Who comes and goes is told to the members every few seconds then, and to the other processes as ever.
    """

    __slots__ = ("dropped", "on")

    def __init__(self) -> None:
        self.on = False
        self.dropped = 0


class People:
    """Presence and typing of one room in one process.

    `revisions` gives numbers that only grow in this process; `publish` sends a notice about the room to the other
    processes; `show` sends frames to the members.
    """

    __slots__ = (
        "_asked",
        "_clock",
        "_count_due",
        "_counted",
        "_counted_at",
        "_doubtful",
        "_flush",
        "_hushed_at",
        "_leaving",
        "_list_due",
        "_mentioned",
        "_moves",
        "_origin",
        "_parts",
        "_publish",
        "_revisions",
        "_settings",
        "_show",
        "_typed",
        "_typing",
        "_untold",
        "doubled",
        "hush",
        "presence",
        "revision",
        "staying",
    )

    def __init__(
        self,
        clock: Clock,
        settings: RoomSettings,
        origin: str,
        revisions: Iterator[int],
        publish: Callable[[Notice], Any],
        show: Callable[[list[Late]], None],
    ) -> None:
        self.presence = Presence()
        self.revision = 0
        """Of this process's people, as the others were told; 0 where there has been nobody yet."""
        self.staying = False
        """Whether those without sockets stay: the process ends, and they are expected back in another."""
        self._clock = clock
        self._settings = settings
        self.hush = Hush()
        """That of its process."""
        self._hushed_at = 0.0
        self._origin = origin
        self._revisions = revisions
        self._publish = publish
        self._show = show
        self.doubled: set[str] = set()
        """Those of this process's people of whose sockets another process has told something since it was emptied."""
        self._moves: list[tuple[str, Person]] = []
        self._untold: set[str] = set()
        self._typing: list[Late] = []
        self._typed: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._doubtful: dict[str, int] = {}
        self._mentioned: dict[str, float] = {}
        self._parts: dict[str, dict[int, Notice]] = {}
        self._list_due = False
        self._counted = False
        self._counted_at = 0.0
        self._flush: asyncio.TimerHandle | None = None
        self._count_due: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Tell nothing more."""
        for handle in (self._flush, self._count_due, self._leaving):
            if handle is not None:
                handle.cancel()

    def shown(self) -> dict[str, Any]:
        """Who is here, for `welcome`: some by name, instructors first, and the count of all."""
        members = [person.shown() for person in self.presence.sample(MEMBERS_SHOWN)]
        return {"members": members, "count": self.presence.count}

    # --- this process's people

    def enter(self, person: Person) -> int:
        """One more socket of a person; its moment, by which `leave` knows it."""
        seat = self.presence.seats.get(person.id)
        since = int(self._clock.now() * 1e6)
        if seat is not None and seat.since:
            since = max(since, seat.since[-1] + 1)
        if self.presence.enter(person, since):
            self._moved("joined", person)
        self._changed(person.id)
        return since

    def leave(self, user: str, since: int) -> None:
        """One socket less; the person leaves a moment later."""
        delay = self._settings.leave_seconds
        self.presence.leave(user, since, self._clock.monotonic() + delay)
        self._changed(user)
        if self._leaving is None and not self.staying:
            self._leaving = asyncio.get_running_loop().call_later(delay, self._see_off)

    def type(self, person: Person) -> None:
        """A person types: once a second, over all their sockets."""
        if person.id in self.presence.seats and self._may_type(person.id):
            frame = wire.text_frame("typing", {"id": person.id, "name": person.name})
            self._typing.append((frame, person.id))
            self._soon()
            self._publish(Notice(self._origin, "typing", user=person.id, frame=frame))

    # --- the other processes

    def ask(self, origin: str | None = None) -> None:
        """Ask a process, or all, who is there."""
        self._publish(Notice(self._origin, "who", user=origin))

    def hear(self, notice: Notice) -> None:
        """What another process says about its people."""
        if notice.kind == "typing":
            if self._may_type(notice.user or ""):
                self._typing.append((notice.frame, notice.user))
                self._soon()
        elif notice.kind == "who":
            if self.presence.seats and notice.user in {None, self._origin}:
                self._list_due = True
                self._soon()
        elif notice.kind == "moved":
            steps = (notice.previous, notice.revision)
            heard = self.presence.hear_change(notice.origin, steps, notice.people, notice.gone)
            self._heard(heard)
            self._suspect(notice)
            if not heard.whole:
                self._ask_soon(notice.origin)
        elif notice.kind == "here":
            self._hear_part(notice)

    def compare(self, origin: str, revision: int, people: int) -> None:
        """Another process has said at which revision its people are; where ours differ twice, ask for the list.

        Twice, because the notice that brings the difference may be on its way.
        """
        known = self.presence.revision_of(origin)
        self._mentioned[origin] = self._clock.monotonic()
        if revision <= known or (not people and not known):
            self._doubtful.pop(origin, None)
        elif self._doubtful.get(origin) != revision:
            self._doubtful[origin] = revision
        elif people:
            self._ask_soon(origin)
        else:
            self._heard(self.presence.hear_list(origin, revision, ()))

    def lose(self, origin: str) -> None:
        """A process has ended."""
        self._heard(Heard([], self.presence.lose(origin)))
        for known in (self._asked, self._doubtful, self._mentioned, self._parts):
            known.pop(origin, None)

    def review(self, periods: Mapping[str, float], stranger: float) -> None:
        """Let the people of processes go that have not mentioned the room for longer than they take for all rooms.

        `periods` are those seconds by process, of those that live; `stranger` is for any other.
        """
        now = self._clock.monotonic()
        for origin in self.presence.origins():
            if now - self._mentioned.setdefault(origin, now) > periods.get(origin, stranger):
                self.lose(origin)

    # --- inside

    def _may_type(self, user: str) -> bool:
        if self.hush.on:
            self.hush.dropped += 1
            return False
        now = self._clock.monotonic()
        if self._typed.get(user, now - _TYPING_SECONDS) > now - _TYPING_SECONDS:
            return False
        if len(self._typed) >= TYPING_LIMIT:
            self._typed = {user: at for user, at in self._typed.items() if at > now - _TYPING_SECONDS}
            if len(self._typed) >= TYPING_LIMIT:
                return False
        self._typed[user] = now
        return True

    def _ask_soon(self, origin: str) -> None:
        now = self._clock.monotonic()
        if now - self._asked.get(origin, -_ASK_SECONDS) >= _ASK_SECONDS:
            self._asked[origin] = now
            self.ask(origin)

    def _hear_part(self, notice: Notice) -> None:
        """A list comes in parts; one that lacks a part is asked for again."""
        parts = self._parts.get(notice.origin)
        if parts is None or next(iter(parts.values())).revision != notice.revision:
            parts = self._parts[notice.origin] = {}
        parts[notice.part] = notice
        if len(parts) == notice.parts:
            del self._parts[notice.origin]
            people = [here for part in parts.values() for here in part.people]
            self._heard(self.presence.hear_list(notice.origin, notice.revision, people))
            for part in parts.values():
                self._suspect(part)

    def _suspect(self, notice: Notice) -> None:
        self.doubled.update(here.person.id for here in notice.people if here.person.id in self.presence.seats)

    def _heard(self, heard: Heard) -> None:
        for person in heard.joined:
            self._moved("joined", person)
        for person in heard.left:
            self._moved("left", person)

    def _see_off(self) -> None:
        self._leaving = None
        if self.staying:
            return
        for person, everywhere in self.presence.leaving(self._clock.monotonic()):
            if everywhere:
                self._moved("left", person)
            self._changed(person.id)
        if any(seat.leaves_at is not None for seat in self.presence.seats.values()):
            delay = max(self._settings.leave_seconds / 2, 0.01)
            self._leaving = asyncio.get_running_loop().call_later(delay, self._see_off)

    def _changed(self, user: str) -> None:
        self._untold.add(user)
        self._soon()

    def _moved(self, kind: str, person: Person) -> None:
        if len(self._moves) < MOVES_LIMIT:
            self._moves.append((kind, person))
        self._soon()

    def _soon(self) -> None:
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(LATE_SECONDS, self._tell)

    def _tell(self) -> None:
        self._flush = None
        self._tell_others()
        typing, self._typing = self._typing, []
        late = [*(() if self._put_off() else self._tell_members()), *typing]
        if late:
            self._show(late)

    def _tell_others(self) -> None:
        if self._untold:
            previous, self.revision = self.revision, next(self._revisions)
            # Too many for one notice, or the first of them: a list says the same.
            small = len(self._untold) <= LATE_LIMIT
            if small:
                came = self.presence.here(self._untold)
                gone = [user for user in self._untold if user not in self.presence.seats]
                self._publish(
                    Notice(self._origin, "moved", people=came, gone=gone, revision=self.revision, previous=previous)
                )
            self._untold = set()
            self._list_due = self._list_due or not small
        if self._list_due:
            self._list_due = False
            for notice in listed(self._origin, self.revision, self.presence.here()):
                self._publish(notice)

    def _tell_members(self) -> Iterable[Late]:
        count = self.presence.count
        limit = self._settings.named_people
        if count > (limit * _SMALL_AGAIN if self._counted else limit):
            self._counted = True
            return self._count_members(count)
        moves, self._moves = self._moves, []
        if self._counted or len(moves) >= LATE_LIMIT:
            self._counted = False
            return [(wire.text_frame("members", self.shown()), None)]
        # The count is the one of now: who has entered since has it from their welcome already.
        return [(wire.text_frame(kind, {**person.shown(), "count": count}), person.id) for kind, person in moves]

    def _count_members(self, count: int) -> list[Late]:
        """A big room: how many came and went, once a second, and instructors by name."""
        now = self._clock.monotonic()
        if not self._moves or self._count_due is not None:
            return []
        if (wait := self._counted_at + COUNTED_SECONDS - now) > 0:
            self._count_due = asyncio.get_running_loop().call_later(wait, self._count_again)
            return []
        self._counted_at = now
        moves, self._moves = self._moves, []
        late: list[Late] = []
        for kind in ("joined", "left"):
            people = [person for what, person in moves if what == kind]
            leaders = [person for person in people if person.role == "instructor"][:MEMBERS_SHOWN]
            late += [(wire.text_frame(kind, {**one.shown(), "count": count}), one.id) for one in leaders]
            if rest := len(people) - len(leaders):
                late.append((wire.text_frame(kind, {"people": rest, "count": count}), None))
        return late

    def _put_off(self) -> bool:
        """Whether members hear later of who came and went; what cancels out until then they do not hear at all."""
        if not self.hush.on or not self._moves:
            return False
        now = self._clock.monotonic()
        if (wait := self._hushed_at + HUSHED_SECONDS - now) <= 0:
            self._hushed_at = now
            return False
        if self._count_due is None:
            self._count_due = asyncio.get_running_loop().call_later(wait, self._count_again)
        return True

    def _count_again(self) -> None:
        self._count_due = None
        self._soon()
