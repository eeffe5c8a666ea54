"""Looks after the regions from where this process stands: asks each how it is, tells the other processes, keeps a log.

Every process of a region comes to the same view. Each waits for its next probe of a region with some jitter; the first
one asks, publishes what it found, and the others take that as their own and wait anew. Where the bus is away, each
asks for itself. What a region finds is not told to other regions: a network that is cut looks different from its ends.

A probe is `GET /readyz` at the region's address. The region is well when it answers 200 in time and says that it is
the region which was asked for: an address that leads elsewhere must not make a dead region look alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

import httpx
import msgspec
import structlog

from atomic_guide.errors import GuideError
from atomic_guide.operations.regions.controls import Event
from atomic_guide.regions.health import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.clock import Clock
    from atomic_guide.operations.regions.controls import Controls
    from atomic_guide.regions.here import Here
    from atomic_guide.regions.settings import RegionSettings

SUBJECT = "regions.health."
"""The beginning of the subject of what the probes of a region find; its name follows."""

REGION = "Atomic-Guide-Region"
"""The header by which a server says where it stands."""

_OK = 200
_DRAIN_LOOK_SECONDS = 0.5
"""How often drains are read: an operator's change is seen within a second."""
_WAITING = 200
"""Entries of the log that wait for the directory to be back; it may have been in the region that is away."""
_JITTER = (0.8, 1.2)

_log = structlog.get_logger(__name__)
_decoder = msgspec.json.Decoder(Found)


class Bus(Protocol):
    """How the processes of a region hear of one another."""

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send to every other subscriber; False where it was dropped."""
        ...

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> object:
        """Call `receive(payload)` for each message."""
        ...


class Probe(Protocol):
    """Asks a region how it is."""

    async def __call__(self, region: RegionSettings) -> Found:
        """What was found; never raises."""
        ...


class Look:
    """The looking of one process. `writes`: it is the one of its server that writes the log."""

    def __init__(self, here: Here, controls: Controls, bus: Bus, probe: Probe, clock: Clock, *, writes: bool) -> None:
        self._here = here
        self._controls = controls
        self._bus = bus
        self._probe = probe
        self._clock = clock
        self._writes = writes
        self._subject = SUBJECT
        self._due: dict[str, float] = {}
        self._waiting: deque[Event] = deque(maxlen=_WAITING)
        self.probes = 0
        """Probes that this process made itself."""

    @property
    def unwritten(self) -> int:
        """Entries of the log that wait for the directory."""
        return len(self._waiting)

    async def run(self) -> None:
        """Look until cancelled."""
        own = self._here.own
        if own is None:
            # Nobody to look at; a root task ends only with its process.
            await asyncio.Event().wait()
            return
        others = [one for one in self._here.settings.declared if one != own]
        self._subject = f"{SUBJECT}{own.name}"
        await self._bus.subscribe(self._subject, self._hear)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_drains())
            for region in others:
                group.create_task(self._watch(region))

    async def _watch(self, region: RegionSettings) -> None:
        self._wait(region.name)
        while True:
            pause = self._due[region.name] - self._clock.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
                continue
            self._wait(region.name)
            found = await self._probe(region)
            self.probes += 1
            self._bus.publish(self._subject, msgspec.json.encode(found))
            self._take(found)

    def _hear(self, payload: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            found = _decoder.decode(payload)
            if found.region in self._due:
                self._wait(found.region)
                self._take(found)

    def _wait(self, region: str) -> None:
        seconds = self._here.settings.probes.seconds
        self._due[region] = self._clock.monotonic() + seconds * random.uniform(*_JITTER)

    def _take(self, found: Found) -> None:
        turn = self._here.board.note(found, self._clock.now())
        if turn is None:
            return
        _log.warning("a region is back" if turn.well else "a region is away", region=turn.region, why=turn.why)
        if self._writes:
            own = self._here.own
            seen_from = own.name if own is not None else ""
            self._waiting.append(Event(turn.at, turn.region, "back" if turn.well else "away", seen_from, why=turn.why))

    async def _keep_drains(self) -> None:
        while True:
            try:
                self._here.drained = frozenset(drain.region for drain in await self._controls.drains())
                await self._write()
            except GuideError as error:
                # What is known stays in force; the directory may be in the region that is away.
                _log.debug("the drains of regions were not read", error=error.message)
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)

    async def _write(self) -> None:
        events = list(self._waiting)
        await self._controls.note(events)
        for _ in events:
            self._waiting.popleft()


class HttpProbe:
    """Probes over HTTP. `transport` stands in for the network."""

    def __init__(self, seconds: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._seconds = seconds
        self._client = httpx.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=False, transport=transport)

    async def __call__(self, region: RegionSettings) -> Found:
        """Ask a region how it is."""
        began = time.perf_counter()
        why = ""
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("GET", f"{region.address}/readyz", headers={"Connection": "close"}) as answer,
            ):
                # Its status says it all; the body is not read.
                said = answer.headers.get(REGION, "")
                if answer.status_code != _OK:
                    why = f"answers {answer.status_code}"
                elif said != region.name:
                    why = f"its address leads to {said or 'something that names no region'}"
        except (TimeoutError, httpx.TimeoutException):
            why = f"no answer within {self._seconds:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = f"cannot be reached ({type(error).__name__})"
        return Found(region.name, not why, round((time.perf_counter() - began) * 1000, 2), why)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
