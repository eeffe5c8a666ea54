"""Connections to a real mail server that are kept for the next message, and for how long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.course.notifications.settings import MailSettings
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.errors import Permanent
from tests.mailserver import PASSWORD, USER, MailBox, Security, mail_server

TO = "somebody@example.edu"
LONG = 60.0


def message(number: int = 0) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "guide@example.edu", TO, f"Waves {number}"
    made.set_content("A line.\n")
    return made


@contextlib.asynccontextmanager
async def keeping(
    folder: Path, idle: float = LONG, security: Security = "none", **more: Any
) -> AsyncIterator[tuple[MailBox, MailServer]]:
    async with mail_server(security, folder, signs_in=bool(more)) as box:
        authority = str(folder / "authority.pem") if security != "none" else None
        settings = MailSettings(
            host="127.0.0.1", port=box.port, security=security, sender="guide@example.edu", ca_file=authority, **more
        )
        server = MailServer(settings, idle=idle)
        try:
            yield box, server
        finally:
            await server.close()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - it happens in the mail server
            await asyncio.sleep(0.01)


async def test_a_batch_connects_and_signs_in_once(tmp_path: Path) -> None:
    async with keeping(tmp_path, security="starttls", username=USER, password=PASSWORD) as (box, server):
        for number in range(20):
            await server.send(message(number), TO)
        assert [one["Subject"] for one in box.received] == [f"Waves {number}" for number in range(20)]
        assert (box.connections, box.signed_in, box.goodbyes) == (1, 1, 0)
        assert all(box.encrypted)
        await server.close()
        await until(lambda: box.goodbyes == 1)


async def test_a_connection_that_is_not_used_ends_with_a_goodbye(tmp_path: Path) -> None:
    async with keeping(tmp_path, idle=0.2) as (box, server):
        await server.send(message(), TO)
        await until(lambda: box.goodbyes == 1)
        await server.send(message(), TO)
        assert box.connections == 2


async def test_without_a_time_to_wait_none_is_kept(tmp_path: Path) -> None:
    async with keeping(tmp_path, idle=0) as (box, server):
        await server.send(message(), TO)
        await server.send(message(), TO)
        assert box.connections == 2
        await until(lambda: box.goodbyes == 2)


async def test_a_connection_that_the_server_has_ended_costs_the_next_message_nothing(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (box, server):
        await server.send(message(), TO)
        box.cut()
        await server.send(message(), TO)
        assert (box.connections, len(box.received)) == (2, 2)


async def test_a_server_that_takes_some_messages_through_one_connection_gets_the_rest_by_another(
    tmp_path: Path,
) -> None:
    async with keeping(tmp_path) as (box, server):
        box.most = 2
        for number in range(5):
            await server.send(message(number), TO)
        assert (box.connections, len(box.received)) == (3, 5)


async def test_a_refusal_ends_its_connection_and_harms_no_other_message(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (box, server):
        await server.send(message(), TO)
        box.rcpt.append("550 5.1.1 no such mailbox")
        with pytest.raises(Permanent, match=r"550 5\.1\.1"):
            await server.send(message(), TO)
        await server.send(message(), TO)
        assert (box.connections, len(box.received)) == (2, 2)


async def test_messages_at_once_have_a_connection_each_and_four_are_kept(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (box, server):
        await asyncio.gather(*(server.send(message(number), TO) for number in range(7)))
        assert (box.connections, len(box.received)) == (7, 7)
        await until(lambda: box.goodbyes == 3)
        await asyncio.gather(*(server.send(message(number), TO) for number in range(4)))
        assert (box.connections, len(box.received)) == (7, 11)


async def test_a_connection_ends_after_so_many_messages(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (box, server):
        for number in range(51):
            await server.send(message(number), TO)
        await until(lambda: box.goodbyes == 1)
        assert (box.connections, len(box.received)) == (2, 51)
