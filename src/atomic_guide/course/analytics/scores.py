"""One score: its fields, and the checks that every form of input passes through.

Scores are doubles from the first byte to the last figure: 0.1 and 16,777,217 come out as they went in. A row that
cannot be taken is rejected alone, with a reason that names the field, its value and what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from atomic_guide.clock import from_iso, iso

TEXT_LIMIT = 255
"""Characters of a user, an activity or an id; LTI allows 255 for a user's `sub`."""

KEY_BYTES = 2048
"""Bytes of user, activity and id together: PostgreSQL refuses a row of an index over 2,704, and with it the batch."""

WIDE_LIMIT = KEY_BYTES // (3 * 4)
"""Characters of which three texts surely keep to that, at four bytes each."""

FUTURE_SECONDS = 2 * 86400.0
"""How far ahead of our clock a hand-in may lie: the width of all time zones, and a wrong clock's error."""

REQUIRED = ("user", "activity", "score", "max", "at")
FIELDS = (*REQUIRED, "id")

_SHOWN = 60
# Not `str.isprintable`: that refuses the joiners which Persian, Arabic and Indic names need.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Score(msgspec.Struct, frozen=True):
    """One attempt. `at` is in seconds since the epoch; `id` is empty where the row is known by its other fields."""

    user: str
    activity: str
    score: float
    maximum: float
    at: float
    id: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """A row that was not taken, by its line (from 1), and why."""

    line: int
    reason: str


class Unacceptable(ValueError):
    """A field that cannot be taken; the text is the reason that the sender reads."""


def check_score(fields: Mapping[str, Any], now: float) -> Score:
    """The score in a row of text or JSON fields. Raises `Unacceptable`.

    A time without an offset is UTC; a date alone is its first moment.
    """
    missing = [name for name in REQUIRED if fields.get(name) is None or fields[name] == ""]
    if missing:
        raise Unacceptable(f"{' and '.join(missing)} missing; a row needs {', '.join(REQUIRED)}")
    maximum = _number("max", fields["max"])
    score = _number("score", fields["score"])
    if maximum <= 0:
        raise Unacceptable(f"max {_show(fields['max'])} must be more than 0")
    if score < 0:
        raise Unacceptable(f"score {_show(fields['score'])} is less than 0; leave out what was not handed in")
    if score > maximum:
        raise Unacceptable(f"score {_show(fields['score'])} is more than the maximum of {_show(fields['max'])}")
    identity = fields.get("id")
    checked = Score(
        user=_text("user", fields["user"]),
        activity=_text("activity", fields["activity"]),
        score=score,
        maximum=maximum,
        at=_time(fields["at"], now),
        id="" if identity is None or identity == "" else _text("id", identity),
    )
    size = sum(len(text.encode()) for text in (checked.user, checked.activity, checked.id))
    if size > KEY_BYTES:
        raise Unacceptable(f"user, activity and id have {size} bytes together; at most {KEY_BYTES} are taken")
    return checked


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Unacceptable(f"{name} {_show(value)} is not text; write it in quotes")
    text = value.strip()
    if not text:
        raise Unacceptable(f"{name} is empty")
    if len(text) > TEXT_LIMIT:
        raise Unacceptable(f"{name} {_show(text)} has {len(text)} characters; at most {TEXT_LIMIT} are taken")
    if _CONTROL.search(text):
        raise Unacceptable(f"{name} {_show(text)} has a control character, such as a line break; remove it")
    return text


def _number(name: str, value: Any) -> float:
    written = value.strip() if isinstance(value, str) else value
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    if not is_number and not (isinstance(written, str) and _NUMBER.fullmatch(written)):
        raise Unacceptable(f"{name} {_show(value)} is not a number; write it like 16.5")
    try:
        number = float(written)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unacceptable(f"{name} {_show(value)} is not a finite number")
    # -0.0 would be another value than 0.0 to a reader.
    return number + 0.0


def _time(value: Any, now: float) -> float:
    if not isinstance(value, str):
        raise Unacceptable(f"at {_show(value)} is not a time; write it like {iso(0)}, in quotes")
    try:
        at = from_iso(value.strip())
    except (ValueError, OverflowError):
        raise Unacceptable(f"at {_show(value)} is not an ISO 8601 time; write it like {iso(0)}") from None
    if at > now + FUTURE_SECONDS:
        raise Unacceptable(f"at {_show(value)} lies in the future; it is {iso(now)} now")
    if at < 0:
        raise Unacceptable(f"at {_show(value)} lies before 1970")
    return at


def _show(value: Any) -> str:
    """A value as a reason shows it: short, and the way it was written."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode(errors="replace")
    text = _CONTROL.sub("?", text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
