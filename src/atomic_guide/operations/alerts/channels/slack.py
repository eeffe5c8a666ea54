"""Slack's incoming webhooks, and what understands the same JSON (Mattermost, Rocket.Chat, Discord with /slack)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.channels.posting import Poster
    from atomic_guide.operations.alerts.notice import Notice, Told

_COLOURS = {"critical": "#a30200", "warning": "#daa038", "info": "#439fe0"}
_ENDED = "#2eb886"
_MOST_SHOWN = 20
"""Attachments of a message: Slack takes no more than twenty well."""


class SlackChannel:
    """Posts to an address that is the key to a channel there."""

    def __init__(self, name: str, poster: Poster, *, tells_ends: bool = True) -> None:
        self.name = name
        self.tells_ends = tells_ends
        self._poster = poster

    async def send(self, notice: Notice) -> None:
        """As `Channel.send`."""
        await self._poster.post(msgspec.json.encode(payload(notice)), {})


def payload(notice: Notice) -> dict[str, Any]:
    """The message: a headline, and an attachment for each alert."""
    shown = notice.alerts[:_MOST_SHOWN]
    left = len(notice.alerts) - len(shown) + notice.more
    text = _escaped(notice.headline) + (f" and {left} more" if left else "")
    return {"text": text, "attachments": [_attachment(one) for one in shown]}


def _attachment(one: Told) -> dict[str, Any]:
    title = one.title if one.status == "firing" else f"{one.title}: over"
    fields = [
        {"title": _escaped(name), "value": _escaped(value), "short": True} for name, value in sorted(one.own.items())
    ]
    return {
        "fallback": _escaped(f"{title}: {one.description}"),
        "color": _ENDED if one.status == "resolved" else _COLOURS.get(one.severity, _COLOURS["info"]),
        "title": _escaped(title),
        **({"title_link": one.runbook} if one.runbook else {}),
        "text": _escaped(one.description),
        "fields": [{"title": "severity", "value": _escaped(one.severity), "short": True}, *fields],
        "ts": int(one.ended_at or one.began_at),
    }


def _escaped(text: str) -> str:
    """Without what Slack would take for a link, a mention or mark-up of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
