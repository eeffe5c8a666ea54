"""A real mail server for tests, aiosmtpd on loopback, which misbehaves as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.postgres.tls import certificate, pem

Security = Literal["starttls", "tls", "none"]
PASSWORD = "the password of a test"
USER = "guide"


class MailBox:
    """What came, and what the server does next.

    `rcpt` and `data` are the replies to come before it takes anything, one for each attempt; `hangs` and `dies` say how
    often it falls silent, or drops the connection after it has taken a message. `most` is how many messages it takes
    through one connection; 0 is any number.
    """

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.encrypted: list[bool] = []
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.hangs = 0
        self.dies = 0
        self.attempts = 0
        self.signed_in = 0
        self.connections = self.goodbyes = 0
        self.most = 0
        self.port = 0
        self._taken: Counter[object] = Counter()
        self._transports: list[asyncio.Transport] = []

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse one."""
        del server, options
        self.attempts += 1
        if self.most and self._taken[session.peer] >= self.most:
            return "421 4.7.0 too many messages"
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Take a message, or refuse it, fall silent, or die."""
        if self.hangs:
            self.hangs -= 1
            await asyncio.sleep(3600)
        if self.data:
            return self.data.pop(0)
        message = email.message_from_bytes(cast("bytes", envelope.content), policy=email.policy.default)
        self.received.append(message)
        self._taken[session.peer] += 1
        self._transports.append(cast("asyncio.Transport", server.transport))
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(cast("asyncio.Transport", server.transport).get_extra_info("ssl_object") is not None)
        if self.dies:
            self.dies -= 1
            cast("asyncio.Transport", server.transport).abort()
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Hear a goodbye."""
        del server, session, envelope
        self.goodbyes += 1
        return "221 bye"

    def cut(self) -> None:
        """Drop every connection that a message came through."""
        while self._transports:
            self._transports.pop().abort()

    def sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Let in who knows the password."""
        del server, session, envelope, mechanism
        good = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
        self.signed_in += good
        return AuthResult(success=good, handled=False, message=None if good else "535 5.7.8 no such password")

    async def until(self, count: int) -> None:
        """Wait for so many messages."""
        for _ in range(500):
            if len(self.received) >= count:
                return
            await asyncio.sleep(0.02)
        message = f"{len(self.received)} of {count} messages came"
        raise AssertionError(message)


@contextlib.asynccontextmanager
async def mail_server(
    security: Security, folder: Path, *, authority: Path | None = None, signs_in: bool = False
) -> AsyncIterator[MailBox]:
    """A server on loopback; its authority's certificate is written to `authority`."""
    box = MailBox()
    context = _context(folder, authority or folder / "authority.pem") if security != "none" else None

    def made() -> SMTP:
        box.connections += 1
        started = context if security == "starttls" else None
        return SMTP(
            box,
            hostname="mail.test",
            tls_context=started,
            require_starttls=started is not None,
            authenticator=box.sign_in if signs_in else None,
            auth_required=signs_in,
            auth_require_tls=security == "starttls",
        )

    server = await asyncio.get_running_loop().create_server(
        made, "127.0.0.1", 0, ssl=context if security == "tls" else None
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if "_handle_client" in repr(task):
                task.cancel()
        await server.wait_closed()


def _context(folder: Path, authority: Path) -> ssl.SSLContext:
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority.write_bytes(pem(certificate(signer, signer)))
    own, private = folder / "mail.pem", folder / "mail.key"
    own.write_bytes(pem(certificate(key, signer)))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, private)
    return context
