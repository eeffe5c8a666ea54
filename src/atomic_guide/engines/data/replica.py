"""One replica of a shard: whether reads may go there, how far it is behind, and a read that it may be called off from.

A probe asks it about once a second where it stands. It is healthy while it answers, is in recovery, is on the newest
timeline that any server of the shard has told of, is not further behind than a limit, and its breaker is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.standing import Connect, Server, Standing
from atomic_guide.resilience import Breaker
from atomic_guide.setting import setting

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Call = Callable[[Engine], Awaitable[T]]

_SAMPLES = 600
"""Positions of the primary that a replica has yet to reach: ten minutes of probes. Older ones are kept, not newer."""


class ReadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How reads are spread over the replicas of a shard."""

    wait_ms: Annotated[
        float,
        setting(
            "How long a read waits for a replica to have what its session has seen; then the primary.",
            "ms",
            ge=0,
            le=5000,
        ),
    ] = 50.0
    max_lag_seconds: Annotated[
        float,
        setting(
            "A replica that is further behind answers nobody, not even sessions without demands.", "s", gt=0, le=86400
        ),
    ] = 10.0
    probe_seconds: Annotated[
        float,
        setting("How often each process asks each server where it is; one small statement.", "s", ge=0.05, le=60),
    ] = 1.0
    answer_seconds: Annotated[
        float,
        setting("A server that has not said by then where it is counts as away.", "s", ge=0.05, le=60),
    ] = 1.0
    fallback_reads: Annotated[
        int,
        setting(
            "Most reads at a time that a process sends to a shard's primary in place of its replicas.",
            "reads",
            ge=1,
            le=1000,
        ),
    ] = 16
    fallback_wait_seconds: Annotated[
        float,
        setting("How long further ones wait for their turn; then they are refused with 503.", "s", ge=0, le=60),
    ] = 1.0
    breaker_failures: Annotated[
        int,
        setting("Failed connections in a row after which a replica is left alone.", "failures", ge=1, le=100),
    ] = 3
    breaker_rest_seconds: Annotated[
        float,
        setting("For how long; then it is tried again.", "s", ge=0.1, le=600),
    ] = 5.0


class Report(msgspec.Struct, frozen=True):
    """How a replica is. `fault` is empty while it is healthy; seconds and bytes are None where they are not known.

    `since` is when it became healthy, or ceased to be, as this process has found it; None where it was so before.
    `served` are the reads of this process.
    """

    shard: str
    replica: str
    region: str
    healthy: bool
    fault: str
    timeline: int | None
    lag_bytes: int | None
    lag_seconds: float | None
    latency_seconds: float
    breaker: str
    served: int
    since: float | None = None


class Replica(Server):
    """One replica."""

    def __init__(self, name: str, region: str, connect: Connect, settings: ReadSettings) -> None:
        super().__init__(name, region, connect, settings.answer_seconds)
        self.breaker = Breaker(name, failures=settings.breaker_failures, rest=settings.breaker_rest_seconds)
        self.fault = self.failure
        self.served = 0
        self.since: float | None = None
        """When it became healthy, or ceased to be; None where this process has found it so."""
        self._judged = False
        self.lag_bytes: int | None = None
        self.busy: set[asyncio.Timeout] = set()
        """The reads under way."""
        self._ahead: deque[tuple[float, int]] = deque()
        self._timeline = 0

    @property
    def healthy(self) -> bool:
        """Whether reads may go there."""
        return not self.fault and self.breaker.allows()

    @property
    def lag_seconds(self) -> float | None:
        """For how long it has lacked something that the primary had; None where it was never asked."""
        if self.known is None:
            return None
        return time.monotonic() - self._ahead[0][0] if self._ahead else 0.0

    async def call(self, call: Call[T]) -> T:
        """Make a read. Raises `Disconnected` where the connection fails or the probe finds the server away."""
        limit = asyncio.timeout(None)
        self.busy.add(limit)
        try:
            async with limit:
                result = await call(self.engine)
        except TimeoutError:
            raise errors.Disconnected(f"replica {self.name} has stopped answering") from None
        except errors.Disconnected:
            self.breaker.failed()
            raise
        finally:
            self.busy.discard(limit)
        self.breaker.succeeded()
        self.served += 1
        return result

    def judge(self, standing: Standing | None, primary: tuple[float, int] | None, timeline: int, most: float) -> None:
        """Draw the conclusions from a probe; `primary` is when it was asked, and how far it was then."""
        before = self.fault
        self._conclude(standing, primary, timeline, most)
        if self._judged and bool(before) != bool(self.fault):
            self.since = time.time()
        self._judged = True

    def _conclude(
        self, standing: Standing | None, primary: tuple[float, int] | None, timeline: int, most: float
    ) -> None:
        if standing is None:
            self._down()
            return
        if self.breaker.state != "closed":
            # Where only new connections fail, the probe's own goes on: it must not hide that from a closed breaker.
            self.breaker.succeeded()
        if standing.position.timeline != self._timeline:
            # What the primary of another timeline had written may never come.
            self._timeline = standing.position.timeline
            self._ahead.clear()
        if primary is not None and standing.position.timeline == timeline:
            self.lag_bytes = max(0, primary[1] - standing.position.lsn)
            if len(self._ahead) < _SAMPLES:
                self._ahead.append(primary)
        while self._ahead and self._ahead[0][1] <= standing.position.lsn:
            self._ahead.popleft()
        lag = self.lag_seconds or 0.0
        if not standing.recovering:
            self.fault = "is a primary"
        elif standing.position.timeline != timeline:
            self.fault = f"on timeline {standing.position.timeline}, the shard is on {timeline}"
        elif lag > most:
            self.fault = f"{lag:.1f} s behind"
        else:
            self.fault = ""

    def report(self, shard: str) -> Report:
        """How it is at this moment."""
        fault = self.fault or ("" if self.breaker.allows() else "breaker open")
        return Report(
            shard=shard,
            replica=self.name,
            region=self.region,
            healthy=not fault,
            fault=fault,
            timeline=self.known.position.timeline if self.known is not None else None,
            lag_bytes=self.lag_bytes,
            lag_seconds=self.lag_seconds,
            latency_seconds=self.latency,
            breaker=self.breaker.state,
            served=self.served,
            since=self.since,
        )

    def _down(self) -> None:
        """It does not answer: no read may wait for it any longer."""
        if not self.fault:
            _log.warning("a replica is away", replica=self.name, reason=self.failure)
        self.fault = self.failure
        self.breaker.failed()
        self.forget()
        now = asyncio.get_running_loop().time()
        for limit in list(self.busy):
            limit.reschedule(now)
