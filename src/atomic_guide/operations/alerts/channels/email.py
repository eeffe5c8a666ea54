"""E-mail to one address, through whatever sends e-mail for the product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.clock import iso

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.alerts.notice import Notice, Told

Send = Callable[[EmailMessage, str], Awaitable[None]]
"""Hands a message for an address to the mail server. Raises `Permanent`, `RetryLater` or `MachineTrouble`."""

_LINE = 300


class Sender(NamedTuple):
    """Whom e-mail comes from: address and name."""

    address: str
    name: str


class EmailChannel:
    """Writes to one address: each has taken a message or not by itself."""

    def __init__(
        self, name: str, to: str, sender: Sender, send: Send, clock: Clock, *, tells_ends: bool = True
    ) -> None:
        self.name = name
        self.tells_ends = tells_ends
        self._to = to
        self._sender = sender
        self._send = send
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        """As `Channel.send`; sent again, it has the same Message-ID."""
        await self._send(message(notice, self._to, self._sender, self._clock.now()), self._to)


def message(notice: Notice, to: str, sender: Sender, now: float) -> EmailMessage:
    """The e-mail, as text."""
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(_line(sender.name), addr_spec=sender.address)
    made["To"] = Address(addr_spec=to)
    made["Subject"] = _line(notice.headline)
    made["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    made["Message-ID"] = f"<alert.{notice.id}@{sender.address.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    parts = [_part(one) for one in notice.alerts]
    if notice.test:
        parts.insert(0, "This is a test: somebody tries whether this address is told of alerts.")
    if notice.more:
        parts.append(f"And {notice.more} more; `atomic-guide alerts list` shows them.")
    parts.append("To keep alerts quiet for a time: atomic-guide alerts silence NAME --for 2h --comment WHY")
    made.set_content("\n\n".join(parts) + "\n")
    return made


def _part(one: Told) -> str:
    lines = [f"{one.status.upper()} {_line(one.title)} ({_line(one.severity)})", _line(one.description)]
    lines += [f"  {_line(name)}: {_line(value)}" for name, value in sorted(one.own.items())]
    lines.append(f"  since: {iso(one.began_at)}" + (f", until {iso(one.ended_at)}" if one.ended_at else ""))
    if one.runbook:
        lines.append(f"  what to do: {_line(one.runbook)}")
    return "\n".join(line for line in lines if line)


def _line(text: str) -> str:
    """One line, without control characters."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:_LINE]
