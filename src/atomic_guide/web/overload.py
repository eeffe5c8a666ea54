"""Shedding load, in a declared order: typing and presence first, then analytics events, then uploads.

Launches and messages are never shed; what they need is what the others give up. How loaded a process is, is measured
and not guessed from counts of requests: how late its event loop is (whatever keeps it busy, this program or another
on the machine), how full the queue of the fullest database is, and how much of a core the loop itself uses.

A level is reached after its time above, one level after the other, so that what the first one frees is seen before
the second begins. It is left after a longer time well below. `check` costs an attribute and a comparison.
"""

from __future__ import annotations

import asyncio
import collections
import random
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.setting import setting

_log = structlog.get_logger(__name__)

Kind = Literal["typing", "analytics", "uploads"]
ORDER: tuple[Kind, ...] = ("typing", "analytics", "uploads")
"""What is shed, the first first; the level is how many of these are."""

SHEDS: dict[Kind, str] = {
    "typing": "Who types is not told; who comes and goes is told every few seconds.",
    "analytics": "Events of watching are refused; pages keep them and send them later.",
    "uploads": "New uploads and further pieces of them are refused; a resumable one goes on where it was.",
}

_TICK = 0.1
"""Seconds between two looks at the loop's clock: ten looks cost a process 0.03% of a core."""

_WINDOW = 10
"""Looks of which the middle one counts: a single stall, a garbage collection or a checkpoint, is no overload."""

_KEPT = 100
"""Changes of the level that a process remembers."""


class LevelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where on one class is shed; any of the three is enough."""

    lag_ms: Annotated[
        float,
        setting(
            "The loop is late by so much. Writing one message to a full room of 1,000 makes it late by about 7, a turn"
            " of requests that wait for each other by tens.",
            "ms",
            ge=1,
            le=60_000,
        ),
    ]
    waiting: Annotated[
        float,
        setting(
            "So much of a database's queue is full; at 1 everything is refused, messages too.", "share", gt=0, le=1
        ),
    ]
    cpu: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=1)] | None,
        setting(
            "The loop uses so much of a core; none: that alone is no reason. A full core that is in time is work, no"
            " overload.",
            "share",
        ),
    ] = None


class SheddingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When which load is shed."""

    enabled: Annotated[bool, setting("Shed load; else overload hits everybody alike.", "switch")] = True
    typing: LevelSettings = LevelSettings(lag_ms=100, waiting=0.25, cpu=0.98)
    analytics: LevelSettings = LevelSettings(lag_ms=200, waiting=0.5)
    uploads: LevelSettings = LevelSettings(lag_ms=400, waiting=0.75)
    rise_seconds: Annotated[
        float,
        setting("How long it is above before the next class is shed; the queue of a database fills in ten.", "s", ge=0),
    ] = 2.0
    calm_seconds: Annotated[
        float,
        setting("How long it is below before the last class comes back: what was put off comes back then.", "s", ge=0),
    ] = 10.0
    release: Annotated[
        float,
        setting("Below means below this share of the level's values, so that it does not swing.", "share", gt=0, le=1),
    ] = 0.6
    retry_seconds: Annotated[
        float,
        setting("When who was refused may come again: from this to twice this, not all at once.", "s", ge=1, le=600),
    ] = 10.0

    @property
    def levels(self) -> tuple[LevelSettings, ...]:
        """In the order of `ORDER`."""
        return self.typing, self.analytics, self.uploads


class Signals(NamedTuple):
    """How loaded the process is: seconds that its loop is late, share of a queue, share of a core."""

    lag: float = 0.0
    waiting: float = 0.0
    cpu: float = 0.0

    def above(self, level: LevelSettings, share: float = 1.0) -> str:
        """Which of them is above a level's values, or this share of those, in words; empty where none is."""
        if self.lag * 1000 >= level.lag_ms * share:
            return f"the loop is {self.lag * 1000:.0f} ms late"
        if self.waiting >= level.waiting * share:
            return f"{self.waiting:.0%} of a database's queue is full"
        if level.cpu is not None and self.cpu >= level.cpu * share:
            return f"the loop uses {self.cpu:.0%} of a core"
        return ""


class Change(msgspec.Struct, frozen=True):
    """A decision: from one level to the next, at a time (seconds since the epoch), and why."""

    at: float
    before: int
    after: int
    reason: str
    lag_ms: float
    waiting: float
    cpu: float


class Overload:
    """What one process sheds. `level` is how many classes of `ORDER` are; `shed` counts what was, by class."""

    def __init__(self, settings: SheddingSettings) -> None:
        self.settings = settings
        self.level = 0
        self.signals = Signals()
        self.shed: dict[Kind, int] = dict.fromkeys(ORDER, 0)
        self.changes: collections.deque[Change] = collections.deque(maxlen=_KEPT)
        self._above = self._below = 0.0

    def check(self, kind: Kind) -> None:
        """Raise `Overloaded` while a class is shed."""
        if self.level > ORDER.index(kind):
            self.shed[kind] += 1
            wait = self.settings.retry_seconds * random.uniform(1, 2)
            message = f"this server has too much to do; {SHEDS[kind][0].lower()}{SHEDS[kind][1:]}"
            raise errors.Overloaded(message, details={"shed": kind}, retry_after=wait)

    def observe(self, signals: Signals, now: float, epoch: float) -> Change | None:
        """Decide after a look; `now` is monotonic. The change, if there is one."""
        self.signals = signals
        settings, level = self.settings, self.level
        above = signals.above(settings.levels[level]) if level < len(ORDER) and settings.enabled else ""
        below = level > 0 and not signals.above(settings.levels[level - 1], settings.release)
        self._above = (self._above or now) if above else 0.0
        self._below = (self._below or now) if below else 0.0
        if above and now - self._above >= settings.rise_seconds:
            return self._change(level + 1, above, epoch)
        if below and now - self._below >= settings.calm_seconds:
            return self._change(level - 1, f"for {settings.calm_seconds:g} s below {settings.release:.0%}", epoch)
        return None

    def _change(self, level: int, reason: str, epoch: float) -> Change:
        self._above = self._below = 0.0
        lag, waiting, cpu = self.signals
        change = Change(epoch, self.level, level, reason, round(lag * 1000, 1), round(waiting, 3), round(cpu, 3))
        self.level = level
        self.changes.append(change)
        tell = _log.warning if level > change.before else _log.info
        tell("shedding", level=level, before=change.before, sheds=list(ORDER[:level]), reason=reason)
        return change


async def watch(overload: Overload, waiting: Callable[[], float], changed: Callable[[Change], None]) -> None:
    """Measure this process until cancelled; `waiting` tells how full a queue is, `changed` hears decisions."""
    lags: collections.deque[float] = collections.deque(maxlen=_WINDOW)
    used: collections.deque[tuple[float, float]] = collections.deque(maxlen=_WINDOW + 1)
    while True:
        due = time.monotonic() + _TICK
        await asyncio.sleep(_TICK)
        now = time.monotonic()
        lags.append(now - due)
        used.append((now, time.thread_time()))
        (then, before), (_, after) = used[0], used[-1]
        cpu = (after - before) / (now - then) if now > then else 0.0
        signals = Signals(max(0.0, statistics.median(lags)), waiting(), cpu)
        if (change := overload.observe(signals, now, time.time())) is not None:
            changed(change)
