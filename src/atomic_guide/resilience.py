"""Retries, circuit breakers and time-outs: the one place that chooses how the product bears failing dependencies.

Retries are stamina's: exponential back-off with jitter, bounded in attempts and in time. Breakers are pybreaker's.
Time-outs are `asyncio.timeout`. Everything else of the product imports this module, not the libraries.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pybreaker
import stamina

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


class _Failed(Exception):
    """Stands for the failure of a call that was made outside the breaker."""
