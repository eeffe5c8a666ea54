"""What a channel is to the one who delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.notice import Notice


class Channel(Protocol):
    """One receiver. Calls of one channel come one after the other."""

    @property
    def name(self) -> str:
        """What settings and metrics call it; receivers of one e-mail channel are told apart by a number."""
        ...

    @property
    def tells_ends(self) -> bool:
        """Whether it is told that alerts have ended."""
        ...

    async def send(self, notice: Notice) -> None:
        """Return when the receiver has taken the message.

        Raises `RetryLater` where it may take it later, `MachineTrouble` where something is to be mended first, both
        with a delay where that is known, and `Permanent` where it never will.
        """
        ...
