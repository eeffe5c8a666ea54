"""Channels against real receivers: what they send, how it is signed, and what each answer means."""

import base64
import hashlib
import hmac
import json
import socket
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.notifications.settings import MailSettings
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.errors import MachineTrouble, Permanent, RetryLater
from atomic_guide.operations.alerts.channels.console import ConsoleChannel
from atomic_guide.operations.alerts.channels.email import EmailChannel, Sender
from atomic_guide.operations.alerts.channels.posting import Poster
from atomic_guide.operations.alerts.channels.slack import SlackChannel
from atomic_guide.operations.alerts.channels.webhook import WebhookChannel, key_of, signature
from atomic_guide.operations.alerts.notice import MOST_TOLD, Notice, Told, ended, made
from tests.mailserver import mail_server
from tests.webhooks import receiver

NOW = 1_800_000_000.0
SECRET = "a secret of a test"


def told(name: str = "queue-stalled", severity: str = "warning", **own: str) -> Told:
    labels = {"alertname": name, "severity": severity, **own}
    return Told(name + str(own), "firing", labels, "Jobs <Wait> & Wait", "The queue @here waits for 1000 s.",
                "https://x.test/book", 1000.0, NOW - 600)  # fmt: skip


def notice() -> Notice:
    firing = [told(queue="video"), told("errors-high", "critical")]
    return made(("hook", "g1", "1"), {"team": "media"}, firing, [ended(told(queue="analytics"), NOW)])


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
    assert key_of("whsec_?") == b"whsec_?"


@pytest.mark.parametrize(
    ("status", "headers", "error", "delay"),
    [
        (500, {}, RetryLater, None),
        (503, {"retry-after": "7"}, RetryLater, 7.0),
        (503, {"retry-after": "999999"}, RetryLater, 300.0),
        (429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, RetryLater, None),
        (408, {}, RetryLater, None),
        (400, {}, Permanent, None),
        (404, {}, Permanent, None),
        (410, {}, Permanent, None),
    ],
)
async def test_an_answer_says_whether_to_try_again(
    status: int, headers: dict[str, str], error: type[Exception], delay: float | None
) -> None:
    with receiver() as came:
        came.answers = [(status, headers)]
        with pytest.raises(error, match=str(status)) as failed:
            await Poster(came.url, 5).post(b"{}", {})
    assert getattr(failed.value, "delay", None) == delay
    assert came.url not in str(failed.value), "an address may be a secret"


async def test_a_redirect_is_not_followed() -> None:
    with receiver() as elsewhere, receiver() as came:
        came.answers = [(307, {"location": f"{elsewhere.url}/inside"})]
        with pytest.raises(Permanent, match="leads elsewhere"):
            await Poster(came.url, 5).post(b"{}", {})
    assert elsewhere.received == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as came:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await Poster(came.url, 5).post(b"{}", {})
    assert (len(proxy.received), len(came.received)) == (0, 1)


async def test_a_receiver_that_hangs_or_is_away_costs_its_limit_only() -> None:
    with receiver() as came:
        came.hangs = 1.0
        with pytest.raises(RetryLater, match=r"within 0\.2 s"):
            await Poster(came.url, 0.2).post(b"{}", {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MachineTrouble, match="cannot be reached"):
            await Poster(f"http://127.0.0.1:{taken.getsockname()[1]}", 2).post(b"{}", {})


async def test_what_goes_to_slack_is_escaped_and_coloured() -> None:
    with receiver() as came:
        await SlackChannel("team", Poster(came.url, 5)).send(notice())
    sent = came.received[0].json
    assert sent["text"] == "[FIRING:2] Jobs &lt;Wait&gt; &amp; Wait"
    colours = [one["color"] for one in sent["attachments"]]
    assert colours == ["#a30200", "#daa038", "#2eb886"]
    assert sent["attachments"][2]["title"] == "Jobs &lt;Wait&gt; &amp; Wait: over"
    assert {"title": "queue", "value": "video", "short": True} in sent["attachments"][1]["fields"]
    assert sent["attachments"][0]["title_link"] == "https://x.test/book"


async def test_e_mail_goes_out_once_under_one_id(tmp_path: Path) -> None:
    async with mail_server("none", tmp_path) as box:
        mail = MailSettings(host="127.0.0.1", port=box.port, security="none", sender="guide@x.test", timeout_seconds=5)
        channel = EmailChannel("mail", "ops@x.test", Sender("guide@x.test", "Guide"), MailServer(mail).send,
                               ManualClock(NOW))  # fmt: skip
        await channel.send(notice())
        box.rcpt = ["450 4.2.1 later"]
        with pytest.raises(RetryLater):
            await channel.send(notice())
        await channel.send(notice())
    first, second = box.received
    assert first["Subject"] == "[FIRING:2] Jobs <Wait> & Wait"
    assert first["Message-ID"] == second["Message-ID"] == f"<alert.{notice().id}@x.test>"
    assert (first["To"], first["Auto-Submitted"]) == ("ops@x.test", "auto-generated")
    text = first.get_content()
    assert "FIRING Jobs <Wait> & Wait (critical)" in text
    assert "RESOLVED" in text
    assert "queue: video" in text
    assert "what to do: https://x.test/book" in text


async def test_no_label_begins_another_header(tmp_path: Path) -> None:
    sent: list[EmailMessage] = []

    async def send(message: EmailMessage, _to: str) -> None:
        sent.append(message)

    evil = made(("a",), {}, [told(queue="x\r\nBcc: all@x.test")], [])
    await EmailChannel("m", "a@x.test", Sender("g@x.test", "G"), send, ManualClock(NOW)).send(evil)
    assert sent[0]["Bcc"] is None
    assert "Bcc: all" in sent[0]["Subject"]


async def test_the_console_takes_everything(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleChannel().send(notice())
    said = capsys.readouterr().out
    assert said.count("an alert fires") == 2
    assert said.count("an alert has ended") == 1


def test_a_message_of_many_alerts_is_bounded_and_says_how_many_are_left() -> None:
    many = made(("a",), {}, [told(queue=f"q{number}") for number in range(MOST_TOLD + 7)], [])
    assert (len(many.alerts), many.more, many.firing) == (MOST_TOLD, 7, MOST_TOLD + 7)
    assert json.dumps(many.headline)


def test_a_test_is_marked() -> None:
    marked = msgspec.structs.replace(notice(), test=True)
    assert marked.headline.startswith("[TEST FIRING:2]")
