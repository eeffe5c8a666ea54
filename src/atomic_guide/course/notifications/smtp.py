"""Handing an e-mail to the mail server, and what its answer means for the job.

    refused for good        this recipient, this message: a reply 5xx to MAIL, RCPT or DATA
    an attempt that failed  a reply 4xx to them, or no reply after the message has begun
    trouble of the machine  no connection, a greeting or sign-in that is refused, a certificate that is not trusted: the
                            message is not at fault, so it waits until somebody has mended that

A connection that breaks after the message was sent leaves open whether it was taken. It is sent again, under the same
Message-ID, so that a mailbox can tell; that it counts as an attempt bounds how often.

No text of the server goes into an error: it repeats addresses. The code does, and the enhanced one (RFC 3463).
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from typing import TYPE_CHECKING

import aiosmtplib
import msgspec

from atomic_guide.course.notifications.kept import Kept
from atomic_guide.course.notifications.settings import MAIL
from atomic_guide.errors import MachineTrouble, Permanent, RetryLater
from atomic_guide.resilience import Guard, GuardSettings, Refused

if TYPE_CHECKING:
    from email.message import EmailMessage

    from atomic_guide.course.notifications.settings import MailSettings

_FIRST_PERMANENT = 500
_SIGN_IN = {530, 534, 535, 538}
"""Replies about signing in (RFC 4954): the settings are to be mended, then the same message goes."""

_ENDS = 421
"""The reply that ends a connection, whatever was asked for (RFC 5321, 3.8)."""

_SETTINGS_SECONDS = 900.0
"""When to try again where the settings are at fault: somebody has to notice and mend them."""

_WHOLE = 3
"""A delivery may take this many times the limit of one answer: greeting, sign-in, recipient, message."""

_ASK_SECONDS = 5.0
_LEAVE_SECONDS = 2.0

_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")


class _Line:
    """A connection that is signed in."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.messages = 0

    async def ready(self) -> bool:
        """Whether it still stands; what was begun on it is forgotten (RSET)."""
        try:
            await self.client.rset(timeout=_ASK_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            return False
        return True

    async def leave(self) -> None:
        """Say goodbye. The server has every message: how that ends changes nothing."""
        try:
            await self.client.quit(timeout=_LEAVE_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.client.close()

    def close(self) -> None:
        """End it without a word."""
        self.client.close()


class MailServer:
    """The mail server of the settings, which must name one.

    Connections are kept for `idle` seconds after a message; then `close` belongs to whoever made it.
    """

    def __init__(self, settings: MailSettings, bounds: GuardSettings | None = None, *, idle: float = 0.0) -> None:
        self._settings = settings
        bounds = bounds or MAIL
        seconds = min(bounds.seconds, _WHOLE * settings.timeout_seconds)
        self.guard = Guard("the mail server", msgspec.structs.replace(bounds, seconds=seconds))
        self._context: ssl.SSLContext | None = None
        self._kept: Kept[_Line] = Kept(idle, time.monotonic)

    async def send(self, message: EmailMessage, recipient: str) -> None:
        """Deliver a message. Raises `Permanent`, `RetryLater` or `MachineTrouble`."""
        try:
            async with self.guard.call():
                await self._deliver(message, recipient)
        except Refused as error:
            raise MachineTrouble(error.message, error.retry_after) from error
        except TimeoutError as error:
            raise RetryLater(self._silent) from error

    async def close(self) -> None:
        """End the connections that are kept; bounded."""
        await self._kept.close()

    async def _deliver(self, message: EmailMessage, recipient: str) -> None:
        line = await self._kept.take()
        if line is not None:
            self.guard.succeeded()
            try:
                await self._through(line, message, recipient)
            except RetryLater as error:
                # It ends this connection, after so many messages say, and the message goes by another.
                if not _ends(error.__cause__):
                    raise
            else:
                return
        await self._through(await self._entered(), message, recipient)

    async def _through(self, line: _Line, message: EmailMessage, recipient: str) -> None:
        try:
            await self._hand_over(line.client, message, recipient)
        except BaseException:
            # What it is in the middle of is open.
            line.close()
            raise
        line.messages += 1
        self._kept.bring(line)

    async def _entered(self) -> _Line:
        """A new connection. Only what keeps the server from any message counts as its failure."""
        client = await self._client()
        try:
            await self._enter(client)
        except BaseException as error:
            client.close()
            if isinstance(error, MachineTrouble):
                self.guard.failed()
            raise
        self.guard.succeeded()
        return _Line(client)

    async def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        if self._context is None and settings.security != "none":
            self._context = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_file)
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout_seconds,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._context,
            # Else it would look its own name up in DNS, and tell it.
            local_hostname=(settings.sender or "").rpartition("@")[2],
        )

    async def _enter(self, client: aiosmtplib.SMTP) -> None:
        """Connect and sign in; nothing was said of the message yet."""
        settings = self._settings
        try:
            await client.connect()
            if settings.username is not None and settings.password is not None:
                await client.login(settings.username, settings.password)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _misconfigured(f"refused the sign-in ({_codes(error.code, error.message)})") from error
        except aiosmtplib.SMTPResponseException as error:
            raise MachineTrouble(f"the mail server answered {_codes(error.code, error.message)}") from error
        except (aiosmtplib.SMTPTimeoutError, TimeoutError) as error:
            raise MachineTrouble(self._silent) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            if isinstance(error.__cause__, ssl.SSLError) or isinstance(error, ssl.SSLError):
                raise _misconfigured("shows a certificate that is not trusted; see mail.ca_file") from error
            if any(word in str(error).casefold() for word in ("tls", "auth")):
                raise _misconfigured("does not offer what mail.security or mail.username ask for") from error
            raise MachineTrouble(f"the mail server cannot be reached ({type(error).__name__})") from error

    async def _hand_over(self, client: aiosmtplib.SMTP, message: EmailMessage, recipient: str) -> None:
        try:
            await client.send_message(message, sender=self._settings.sender, recipients=[recipient])
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _failure("the recipient", error.recipients[0]) from error
        except aiosmtplib.SMTPSenderRefused as error:
            raise _failure("the sender", error) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _failure("the message", error) from error
        except (aiosmtplib.SMTPTimeoutError, TimeoutError) as error:
            raise RetryLater(self._silent) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise RetryLater(f"the connection to the mail server broke ({type(error).__name__})") from error

    @property
    def _silent(self) -> str:
        return f"the mail server did not answer within {self._settings.timeout_seconds:g} s"


def _failure(what: str, reply: aiosmtplib.SMTPResponseException) -> Permanent | RetryLater | MachineTrouble:
    said = f"refused {what} ({_codes(reply.code, reply.message)})"
    if reply.code in _SIGN_IN:
        return _misconfigured(said)
    return (Permanent if reply.code >= _FIRST_PERMANENT else RetryLater)(f"the mail server {said}")


def _ends(error: BaseException | None) -> bool:
    """Whether a reply ended the connection before the message was taken."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    return isinstance(error, aiosmtplib.SMTPResponseException) and error.code == _ENDS


def _misconfigured(said: str) -> MachineTrouble:
    return MachineTrouble(f"the mail server {said}", _SETTINGS_SECONDS)


def _codes(code: int, text: str) -> str:
    enhanced = _ENHANCED.search(text)
    return f"{code} {enhanced[0]}" if enhanced else str(code)
