"""E-mail about alerts, to a real mail server."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.notifications.settings import MailSettings
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.errors import RetryLater
from atomic_guide.operations.alerts.channels.email import EmailChannel, Sender
from atomic_guide.operations.alerts.notice import made
from tests.alert_notices import NOW, notice, told
from tests.mailserver import mail_server


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
