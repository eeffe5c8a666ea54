"""Retries, circuit breakers, bulkheads and time-outs: the one place that chooses how failing dependencies are borne.

Retries are stamina's: exponential back-off with jitter, bounded in attempts and in time. Breakers are pybreaker's.
Time-outs are `asyncio.timeout`. Everything else of the product imports this module, not the libraries.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pybreaker
import stamina

from atomic_guide.errors import Unavailable
from atomic_guide.setting import setting

_ATTEMPTS = 50
"""A bound that time ends before: at most 1 s lies between two attempts."""


def retrying(again: Callable[[Exception], bool | float], *, seconds: float) -> AsyncIterator[Any]:
    """Attempts with growing pauses (from 10 ms, jittered, at most 1 s) while `again(error)`, for `seconds` in all.

    Where `again` gives a number, that is the pause in seconds.

        async for attempt in retrying(again, seconds=5):
            with attempt:
                return await call()

    The last attempt's error is raised as it is.
    """
    return stamina.retry_context(
        on=again, attempts=_ATTEMPTS, timeout=seconds, wait_initial=0.01, wait_max=1.0, wait_jitter=0.05
    ).__aiter__()


class Breaker:
    """A circuit breaker round one dependency: open after `failures` in a row, tried again after `rest` seconds.

    The quick path costs an attribute: ask `allows` before a call, and tell `failed` or `succeeded` after it.
    """

    def __init__(self, name: str, *, failures: int = 5, rest: float = 5.0) -> None:
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=rest,
            name=name,
            state_storage=self._storage,
            throw_new_error_on_trip=False,
        )
        self._untroubled = True

    @property
    def name(self) -> str:
        """What it protects."""
        return self._breaker.name or ""

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return self._breaker.current_state

    def allows(self) -> bool:
        """Whether a call may be made now: while closed, and as a trial once an open breaker has rested."""
        if self._untroubled or self._storage.state != pybreaker.STATE_OPEN:
            return True
        opened = self._storage.opened_at
        return opened is None or datetime.now(UTC) >= opened + timedelta(seconds=self._breaker.reset_timeout)

    def failed(self) -> None:
        """A call has failed in a way that says that the dependency is away."""
        self._untroubled = False
        with contextlib.suppress(_Failed, pybreaker.CircuitBreakerError), self._breaker.calling():
            raise _Failed

    def succeeded(self) -> None:
        """A call was answered."""
        if self._untroubled:
            return
        with contextlib.suppress(pybreaker.CircuitBreakerError), self._breaker.calling():
            pass
        self._untroubled = self._storage.state == pybreaker.STATE_CLOSED


class GuardSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How calls of one dependency are bounded."""

    seconds: Annotated[float, setting("Time-out of a whole call.", "s", gt=0, le=600)] = 20.0
    failures: Annotated[int, setting("Failures in a row that open its breaker.", "failures", ge=1, le=1000)] = 5
    rest_seconds: Annotated[float, setting("How long an open breaker rests before a trial.", "s", gt=0, le=600)] = 10.0
    retry_percent: Annotated[
        float, setting("Retries, of 100 calls at most; what is more fails at once.", "%", ge=0, le=100)
    ] = 10.0
    most: Annotated[int, setting("Calls at a time; the next waits.", "calls", ge=1, le=10_000)] = 16
    wait_seconds: Annotated[float, setting("How long it waits before it is refused.", "s", gt=0, le=60)] = 2.0


class RetryBudget:
    """Retries as a share of calls: `percent` of them, and `burst` at once where there were none for a while.

        budget.called()
        ...
        if budget.take():
            ...            # retry

    `counts` are retries, and unretried where the budget was spent.
    """

    def __init__(self, percent: float, burst: float) -> None:
        self._share, self._most = percent / 100, max(burst, 0.0)
        self._left = self._most
        self.counts = {"retries": 0, "unretried": 0}

    def called(self) -> None:
        """A call is made for the first time."""
        self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        """Whether a call may be made once more."""
        if self._left < 1:
            self.counts["unretried"] += 1
            return False
        self._left -= 1
        self.counts["retries"] += 1
        return True


_BURST = 10.0
"""Retries that a quiet dependency has at once: a page of work that meets one broken connection."""
_RETRY_PAUSE = (0.05, 0.15)
"""Seconds before a retry, drawn anew: long enough for another address of a name, short within a page's second."""


class Refused(Unavailable):
    """A call that was not made: the breaker is open, or too many are under way."""

    code = "DEPENDENCY_UNAVAILABLE"


class Guard:
    """Time-out, breaker, retry budget and bulkhead round one dependency.

        async with guard.call():
            ...            # raising `TimeoutError` after its time, and told `failed` or `succeeded` inside

    `counts` are calls, failures, timeouts, open (refused by the breaker), full (refused by the bulkhead), retries and
    unretried (the budget was spent), since the process's start.
    """

    def __init__(self, name: str, settings: GuardSettings) -> None:
        self.name = name
        self.settings = settings
        self.breaker = Breaker(name, failures=settings.failures, rest=settings.rest_seconds)
        self._counts = dict.fromkeys(("calls", "failures", "timeouts", "open", "full"), 0)
        self.running = 0
        self._places = asyncio.Semaphore(settings.most)
        self._budget = RetryBudget(settings.retry_percent, _BURST)

    @property
    def counts(self) -> dict[str, int]:
        """What came of calls so far."""
        return {**self._counts, **self._budget.counts}

    @contextlib.asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Make a call. Raises `Refused`, or `TimeoutError`, which counts as a failure."""
        if not self.breaker.allows():
            self._counts["open"] += 1
            message = f"{self.name} has failed {self.settings.failures} times in a row; it is tried again soon"
            raise Refused(message, retry_after=self.settings.rest_seconds)
        try:
            async with asyncio.timeout(self.settings.wait_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            self._counts["full"] += 1
            message = f"{self.settings.most} calls of {self.name} are under way"
            raise Refused(message, retry_after=self.settings.wait_seconds) from error
        self._counts["calls"] += 1
        self.running += 1
        self._budget.called()
        try:
            async with asyncio.timeout(self.settings.seconds):
                yield
        except TimeoutError:
            self._counts["timeouts"] += 1
            self.failed()
            raise
        finally:
            self.running -= 1
            self._places.release()

    def failed(self) -> None:
        """The call has failed in a way that says that the dependency is away."""
        self._counts["failures"] += 1
        self.breaker.failed()

    def succeeded(self) -> None:
        """The call was answered."""
        self.breaker.succeeded()

    async def may_retry(self) -> bool:
        """Whether a failed call may be made once more; then a short pause has passed."""
        if not self.breaker.allows():
            self._budget.counts["unretried"] += 1
            return False
        if not self._budget.take():
            return False
        await asyncio.sleep(random.uniform(*_RETRY_PAUSE))
        return True


class _Failed(Exception):
    """Stands for the failure of a call that was made outside the breaker."""
