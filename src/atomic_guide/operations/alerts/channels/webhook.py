"""A webhook: the JSON of Alertmanager's (version 4), so that whatever takes its messages takes these.

Signed as Standard Webhooks asks: `webhook-signature` is `v1,` and the HMAC-SHA256, in base64, of
`ID.TIMESTAMP.BODY` with the channel's secret; `webhook-id` stays the same when a message is sent again, and so tells a
receiver what it has had; by `webhook-timestamp` it can refuse what somebody has kept and sends again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.operations.alerts.checking import ENCODED
from atomic_guide.operations.alerts.notice import Notice, Told, common

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.alerts.channels.posting import Poster

_NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager writes a time that is not known."""


class WebhookChannel:
    """Posts to an address; unsigned without a secret."""

    def __init__(self, name: str, poster: Poster, secret: str | None, clock: Clock, *, tells_ends: bool = True) -> None:
        self.name = name
        self.tells_ends = tells_ends
        self._poster = poster
        self._key = key_of(secret) if secret else None
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        """As `Channel.send`."""
        body = msgspec.json.encode(payload(self.name, notice))
        headers = {"webhook-id": notice.id, "Idempotency-Key": notice.id}
        if self._key is not None:
            at = int(self._clock.now())
            headers |= {"webhook-timestamp": str(at), "webhook-signature": signature(self._key, notice.id, at, body)}
        await self._poster.post(body, headers)


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for; that those are base64 was looked at when the server started."""
    if secret.startswith(ENCODED):
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    return secret.encode()


def signature(key: bytes, identity: str, at: int, body: bytes) -> str:
    """What `webhook-signature` says."""
    signed = hmac.digest(key, f"{identity}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def payload(receiver: str, notice: Notice) -> dict[str, Any]:
    """The message as Alertmanager would write it, with `test` where it is one."""
    return {
        "version": "4",
        "groupKey": "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(notice.group.items())) + "}",
        "truncatedAlerts": notice.more,
        "status": notice.status,
        "receiver": receiver,
        "groupLabels": notice.group,
        "commonLabels": common(notice.alerts, "labels"),
        "commonAnnotations": {"headline": notice.headline},
        "externalURL": "",
        "alerts": [_alert(one) for one in notice.alerts],
        **({"test": True} if notice.test else {}),
    }


def _alert(one: Told) -> dict[str, Any]:
    texts = {"summary": one.title, "description": one.description, "runbook_url": one.runbook}
    return {
        "status": one.status,
        "labels": one.labels,
        "annotations": {name: text for name, text in texts.items() if text},
        "startsAt": iso(one.began_at),
        "endsAt": iso(one.ended_at) if one.ended_at else _NEVER,
        "generatorURL": "",
        "fingerprint": one.fingerprint,
        "value": one.value,
    }
