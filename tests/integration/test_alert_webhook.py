"""The webhook: Alertmanager's message, signed as Standard Webhooks asks."""

import base64
import hashlib
import hmac

from atomic_guide.clock import ManualClock
from atomic_guide.operations.alerts.channels.posting import Poster
from atomic_guide.operations.alerts.channels.webhook import WebhookChannel, key_of, signature
from tests.alert_notices import NOW, SECRET, notice
from tests.webhooks import receiver


async def test_a_webhook_is_what_alertmanager_sends_and_is_signed() -> None:
    with receiver() as came:
        channel = WebhookChannel("hook", Poster(f"{came.url}/a?b=c", 5), SECRET, ManualClock(NOW))
        await channel.send(notice())
    [one] = came.received
    assert one.path == "/a?b=c"
    assert one.headers["content-type"] == "application/json"
    identity, at = one.headers["webhook-id"], one.headers["webhook-timestamp"]
    signed = hmac.new(SECRET.encode(), f"{identity}.{at}.".encode() + one.body, hashlib.sha256).digest()
    assert one.headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()
    assert (identity, at) == (notice().id, "1800000000")
    sent = one.json
    assert (sent["version"], sent["status"], sent["receiver"]) == ("4", "firing", "hook")
    assert sent["groupLabels"] == {"team": "media"}
    assert [(each["labels"]["alertname"], each["status"]) for each in sent["alerts"]] == [
        ("errors-high", "firing"), ("queue-stalled", "firing"), ("queue-stalled", "resolved"),
    ]  # fmt: skip
    over = sent["alerts"][2]
    assert over["startsAt"] == "2027-01-15T07:50:00.000Z"
    assert over["endsAt"] == "2027-01-15T08:00:00.000Z"
    assert sent["alerts"][0]["endsAt"].startswith("0001-01-01")
    assert over["annotations"]["runbook_url"] == "https://x.test/book"
    assert "test" not in sent


async def test_a_webhook_without_a_secret_is_not_signed() -> None:
    with receiver() as came:
        await WebhookChannel("hook", Poster(came.url, 5), None, ManualClock(NOW)).send(notice())
    assert "webhook-signature" not in came.received[0].headers


def test_a_secret_may_be_written_as_standard_webhooks_do() -> None:
    """The example of the specification."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert signature(key_of(secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    assert key_of("?") == b"?"
