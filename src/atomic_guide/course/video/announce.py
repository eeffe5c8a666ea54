"""How the rest of the program hears of a video's progress; the rooms fill this in."""

from __future__ import annotations

from typing import Any, Protocol

from atomic_guide.engines.data.placement import CourseKey


class Announce(Protocol):
    """Sends a frame to a course's room; to one person's sockets only where `user` is given. Never raises."""

    async def __call__(self, key: CourseKey, kind: str, data: dict[str, Any], user: str | None = None) -> None:
        """Send `{"type": kind, "data": data}`."""
        ...


async def nobody(key: CourseKey, kind: str, data: dict[str, Any], user: str | None = None) -> None:
    """An `Announce` for programs without rooms."""
    del key, kind, data, user
