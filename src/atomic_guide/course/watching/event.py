"""What an event is, and which are taken. Pure.

| type | data | says |
|---|---|---|
| opened | | the page of the course was opened |
| played | video, position | a lecture was begun or went on |
| paused | video, position | it was stopped |
| watched | video, from, to | the seconds from `from` to before `to` were played |
| finished | video | it was played to its end |
| captions | video, lang | captions were switched on |
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.clock import from_iso, iso

BATCH = 100
"""Events in one call, as the requirements have them."""

AHEAD_SECONDS = 300.0
"""How far a sender's clock may be ahead: Kerberos takes the same five minutes for what clocks in use differ."""

LONGEST = 12 * 3600
"""Seconds of the longest lecture that figures are kept about."""

SPAN = 3600
"""Most seconds that one event says were watched; a page says it every ten."""

_DAY = 86400.0

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Type = Literal["opened", "played", "paused", "watched", "finished", "captions"]
Second = Annotated[int, msgspec.Meta(ge=0, le=LONGEST)]


class EventData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}, omit_defaults=True):
    """What an event is about; which fields it needs is told by its type."""

    video: Name | None = None
    position: Annotated[float, msgspec.Meta(ge=0, le=LONGEST)] | None = None
    start: Second | None = None
    to: Second | None = None
    lang: Name | None = None


class PostedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event. `id` counts once for its course and person, `at` is an ISO 8601 time."""

    id: Name
    type: Type
    at: Annotated[str, msgspec.Meta(max_length=40, examples=["2025-11-20T10:00:00Z"])]
    data: EventData = EventData()


class PostedEvents(msgspec.Struct, forbid_unknown_fields=True):
    """Events of one person; one that cannot be taken is rejected alone."""

    events: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=BATCH)]


class Event(NamedTuple):
    """An event that was taken. `start` is where in the lecture, `end` where a watched part ends; 0 where not said."""

    id: str
    type: str
    at: float
    video: str
    start: float
    end: float
    lang: str


class Refused(msgspec.Struct, frozen=True):
    """Why an event was not taken; `number` is its place in the call, from 1."""

    number: int
    id: str
    reason: str


_NEEDS: dict[str, tuple[str, ...]] = {
    "opened": (),
    "played": ("video", "position"),
    "paused": ("video", "position"),
    "watched": ("video", "start", "to"),
    "finished": ("video",),
    "captions": ("video", "lang"),
}
_SHOWN = {"start": "from"}

_posted = msgspec.json.Decoder(PostedEvents)
_event = msgspec.json.Decoder(PostedEvent)


def read_events(body: bytes, now: float, keep_days: int) -> tuple[list[Event], list[Refused]]:
    """The events of a call that can be taken, and why the others cannot. Raises `Invalid` for another body."""
    try:
        rows = _posted.decode(body).events
    except msgspec.ValidationError as error:
        raise errors.Invalid(f'send {{"events": [...]}} with at most {BATCH} events: {error}') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.Invalid(f"the body is not JSON in UTF-8: {error}") from error
    taken: list[Event] = []
    refused: list[Refused] = []
    for number, row in enumerate(rows, 1):
        try:
            posted = _event.decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refused.append(Refused(number, _name_of(row), str(error)))
            continue
        found = _checked(posted, now, keep_days)
        if isinstance(found, Event):
            taken.append(found)
        else:
            refused.append(Refused(number, posted.id, found))
    return taken, refused


def _checked(posted: PostedEvent, now: float, keep_days: int) -> Event | str:
    """The event, or why it is refused."""
    data = posted.data
    missing = [_SHOWN.get(name, name) for name in _NEEDS[posted.type] if getattr(data, name) is None]
    if missing:
        return f"an event of the type {posted.type} needs {' and '.join(missing)} in data"
    try:
        at = from_iso(posted.at)
    except (ValueError, OverflowError):
        return f"at is not an ISO 8601 time; write it like {iso(0)}"
    if at > now + AHEAD_SECONDS:
        return f"at lies in the future; it is {iso(now)} here"
    if not math.isfinite(at) or at < now - keep_days * _DAY:
        return f"at is more than {keep_days} days ago; such an event may have been counted and forgotten"
    start, end = float(data.position or data.start or 0), float(data.to or 0)
    if posted.type == "watched" and not start < end <= start + SPAN:
        return f"from must be before to, and at most {SPAN} s before it"
    return Event(posted.id, posted.type, at, data.video or "", start, end, data.lang or "")


class _Named(msgspec.Struct):
    id: str = ""


def _name_of(row: msgspec.Raw) -> str:
    """The id of an event that is otherwise no event, to be shown beside the reason."""
    try:
        return msgspec.json.decode(row, type=_Named).id[:64]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
