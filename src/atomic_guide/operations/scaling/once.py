"""One question for all sources of a tick."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Once(Generic[T]):
    """Asks at most once for each tick; whoever asks first begins it, and nobody's giving up ends it for the rest."""

    def __init__(self, what: str, ask: Callable[[float], Awaitable[T]]) -> None:
        self._what = what
        self._ask = ask
        self._at: float | None = None
        self._task: asyncio.Task[T] | None = None

    async def at(self, at: float) -> T:
        """The answer of a tick. Raises what asking raises, and `Unavailable` while the last tick still asks."""
        if self._task is None or self._at != at:
            if self._task is not None and not self._task.done():
                raise Unavailable(f"{self._what} of the tick before are still being read")
            self._at, self._task = at, asyncio.create_task(self._answer(at))
            self._task.add_done_callback(_retrieve)
        return await asyncio.shield(self._task)

    async def _answer(self, at: float) -> T:
        return await self._ask(at)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of an error, also where everybody has given up waiting."""
    if not task.cancelled():
        task.exception()
