"""Looking on while a test runs: what the target uses, and how it scales."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import GuideError
from atomic_guide.operations.loadtest.target import Target, Usage

_USAGE_SECONDS = 2.0
_SCALING_SECONDS = 5.0


class Used(msgspec.Struct, frozen=True):
    """Cores that the target's web processes used until `at`, in seconds from the begin of the arrivals."""

    at: float
    cores: float


class Observed(msgspec.Struct):
    """What was seen of a target. `ready` is how many units each fleet had: (seconds, fleet -> count)."""

    cpus: int = 0
    processes: int = 0
    used: list[Used] = []
    events: list[dict[str, Any]] = []
    ready: list[tuple[float, dict[str, int]]] = []
    missing: str = ""

    def cores(self, since: float, until: float) -> float | None:
        """Mean cores used in a time; None where it was not seen."""
        found = [one.cores for one in self.used if since < one.at <= until]
        return sum(found) / len(found) if found else None


class Watcher:
    """Asks a target from the begin of the arrivals on; `say` is told of each new scaling event."""

    def __init__(self, target: Target, say: Callable[[str], None]) -> None:
        self.seen = Observed()
        self._target = target
        self._say = say
        self._began = 0.0
        self._since = ""
        self._last: dict[str, tuple[float, Usage]] = {}
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look on until cancelled."""
        self._began = time.monotonic()
        self._since = iso(time.time())
        due = 0.0
        while True:
            await self._look_usage()
            if time.monotonic() >= due:
                due = time.monotonic() + _SCALING_SECONDS
                await self.look_scaling()
            await asyncio.sleep(_USAGE_SECONDS)

    async def look_scaling(self) -> None:
        """Ask for scaling events, and how many units are ready."""
        if not self._since:
            return
        try:
            ready = await self._target.ready()
            events = await self._target.events(self._since)
        except GuideError as error:
            self.seen.missing = error.message
            return
        at = time.monotonic() - self._began
        if not self.seen.ready or self.seen.ready[-1][1] != ready:
            self.seen.ready.append((round(at, 1), ready))
        self.seen.events = events
        for event in reversed(events):
            if self._told.get(event["id"]) != event["state"]:
                self._told[event["id"]] = event["state"]
                self._say(f"scaling: {event['fleet']} {event['before']} to {event['after']}, {event['state']}:"
                          f" {event['reason']}")  # fmt: skip

    async def _look_usage(self) -> None:
        with contextlib.suppress(GuideError):
            asked = time.monotonic()
            found = await self._target.usage()
            now = (asked + time.monotonic()) / 2
            self.seen.cpus = found.cpus
            before = self._last.get(found.process)
            self._last[found.process] = now, found
            self.seen.processes = len(self._last)
            if before is not None and now > before[0]:
                mine = (found.cpu_seconds - before[1].cpu_seconds) / (now - before[0])
                # What the others used is taken to be the like of it, since a load balancer asks one at a time.
                self.seen.used.append(Used(round(now - self._began, 2), mine * len(self._last)))
