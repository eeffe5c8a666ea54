"""Handing an e-mail to a real mail server: encrypted or not at all, and what each of its answers means."""

import contextlib
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.course.notifications.settings import MailSettings, check_mail
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.errors import ConfigurationError, MachineTrouble, Permanent, RetryLater
from tests.mailserver import PASSWORD, USER, MailBox, Security, mail_server

TO = "somebody@example.edu"


def settings(box: MailBox, folder: Path, security: Security, **more: Any) -> MailSettings:
    chosen = {"ca_file": str(folder / "authority.pem") if security != "none" else None, "timeout_seconds": 5.0, **more}
    return MailSettings(host="127.0.0.1", port=box.port, security=security, sender="guide@example.edu", **chosen)


def message() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "guide@example.edu", TO, "Waves"
    made.set_content("A line.\n.\nAfter a line with a dot.\n")
    return made


@contextlib.asynccontextmanager
async def plain(folder: Path, **more: Any) -> AsyncIterator[tuple[MailBox, MailServer]]:
    async with mail_server("none", folder) as box:
        yield box, MailServer(settings(box, folder, "none", **more))


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_message_arrives_whole(security: Security, tmp_path: Path) -> None:
    async with mail_server(security, tmp_path) as box:
        await MailServer(settings(box, tmp_path, security)).send(message(), TO)
        assert box.recipients == [TO]
        assert box.encrypted == [security != "none"]
        assert box.received[0].get_content().splitlines() == ["A line.", ".", "After a line with a dot."]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_strange_certificate_gets_nothing(security: Security, tmp_path: Path) -> None:
    async with mail_server(security, tmp_path, authority=tmp_path / "other.pem") as box:
        stranger = MailServer(settings(box, tmp_path, security, ca_file=None))
        with pytest.raises(MachineTrouble, match="certificate that is not trusted"):
            await stranger.send(message(), TO)
        assert box.attempts == 0


async def test_nothing_is_said_where_encryption_is_not_offered(tmp_path: Path) -> None:
    async with mail_server("none", tmp_path) as box:
        server = MailServer(settings(box, tmp_path, "starttls", ca_file=None))
        with pytest.raises(MachineTrouble, match=r"mail\.security"):
            await server.send(message(), TO)
        assert box.attempts == 0


async def test_a_password_is_sent_and_a_wrong_one_waits_for_somebody_to_mend_it(tmp_path: Path) -> None:
    async with mail_server("starttls", tmp_path, signs_in=True) as box:
        await MailServer(settings(box, tmp_path, "starttls", username=USER, password=PASSWORD)).send(message(), TO)
        assert box.signed_in == 1
        wrong = MailServer(settings(box, tmp_path, "starttls", username=USER, password="nothing"))
        with pytest.raises(MachineTrouble) as caught:
            await wrong.send(message(), TO)
        assert caught.value.message == "the mail server refused the sign-in (535 5.7.8)"
        assert caught.value.delay == 900
        unsigned = MailServer(settings(box, tmp_path, "starttls"))
        with pytest.raises(MachineTrouble, match="530"):
            await unsigned.send(message(), TO)


@pytest.mark.parametrize(
    ("where", "reply", "error"),
    [
        ("rcpt", f"550 5.1.1 <{TO}> no such mailbox", Permanent),
        ("rcpt", f"451 4.7.1 <{TO}> greylisted, come back", RetryLater),
        ("rcpt", f"452 4.2.2 the mailbox of {TO} is full", RetryLater),
        ("data", "554 5.7.1 looks like spam", Permanent),
        ("data", "421 4.3.2 going down", RetryLater),
    ],
)
async def test_replies_are_told_apart_and_name_nobody(
    where: str, reply: str, error: type[Permanent | RetryLater], tmp_path: Path
) -> None:
    async with plain(tmp_path) as (box, server):
        getattr(box, where).append(reply)
        with pytest.raises(error) as caught:
            await server.send(message(), TO)
        assert type(caught.value) is error
        assert " ".join(reply.split()[:2]) in caught.value.message
        assert TO not in caught.value.message
        await server.send(message(), TO)
        assert len(box.received) == 1


async def test_a_server_that_hangs_costs_its_time_limit(tmp_path: Path) -> None:
    async with plain(tmp_path, timeout_seconds=1.0) as (box, server):
        box.hangs = 1
        with pytest.raises(RetryLater, match="did not answer within 1 s"):
            await server.send(message(), TO)


async def test_a_server_that_dies_after_the_message_leaves_it_open(tmp_path: Path) -> None:
    async with plain(tmp_path) as (box, server):
        box.dies = 1
        with pytest.raises(RetryLater, match="broke"):
            await server.send(message(), TO)
        assert len(box.received) == 1


async def test_a_server_that_is_away_or_never_greets_is_trouble_of_the_machine(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        box = MailBox()
        box.port = silent.getsockname()[1]
        with pytest.raises(MachineTrouble, match="cannot be reached"):
            await MailServer(settings(box, tmp_path, "none")).send(message(), TO)
        silent.listen()
        with pytest.raises(MachineTrouble, match="did not answer"):
            await MailServer(settings(box, tmp_path, "none", timeout_seconds=1.0)).send(message(), TO)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sender": None}, "mail.sender"),
        ({"sender": "no address"}, "mail.sender"),
        ({"username": "u"}, "mail.password"),
        ({"username": "u", "password": "p", "security": "none"}, "mail.security"),
        ({"ca_file": "/nowhere/ca.pem"}, "mail.ca_file"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"host": "127.0.0.1", "sender": "guide@example.edu"}
    check_mail(MailSettings(**good))
    check_mail(MailSettings(sender="no address"))
    with pytest.raises(ConfigurationError, match=named):
        check_mail(MailSettings(**{**good, **wrong}))
