"""How much of the feed is kept, and the mail server."""

from __future__ import annotations

import ssl
from typing import Annotated, Literal

import msgspec

from atomic_guide.course.notifications.address import usable_address
from atomic_guide.errors import ConfigurationError
from atomic_guide.resilience import GuardSettings
from atomic_guide.setting import setting

MAIL = GuardSettings(seconds=30.0, failures=5, rest_seconds=30.0, retry_percent=0.0, most=8)
"""Retries are the queue's: a letter that was not taken comes back with its own pauses."""


class NotificationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The feed in the page."""

    keep: Annotated[
        int,
        setting(
            "Newest notifications kept for each person in a course: two for every week of a year.",
            "notifications",
            ge=10,
            le=1000,
        ),
    ] = 100


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """E-mail by SMTP; without `host` none is sent, and no address is stored."""

    host: Annotated[str | None, setting("The mail server; none: no e-mail is sent.", "host")] = None
    port: Annotated[
        int, setting("587 is for submission (RFC 6409), 465 for it with TLS (RFC 8314).", "port", ge=1, le=65535)
    ] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        setting(
            "starttls: encrypted before anything is said, or not sent; tls: from the first byte; none: only for a relay"
            " on this machine.",
            "form",
        ),
    ] = "starttls"
    ca_file: Annotated[
        str | None,
        setting("Certificates that the server's is checked against; none: those of the system.", "path"),
    ] = None
    username: Annotated[str | None, setting("Who signs in at the mail server.", "name")] = None
    password: Annotated[str | None, setting("The password for it.", "secret")] = None
    sender: Annotated[str | None, setting("The address that e-mail comes from; needed with a host.", "address")] = None
    sender_name: Annotated[str, setting("The name beside that address.", "text", max_length=100)] = "Atomic Guide"
    timeout_seconds: Annotated[
        float,
        setting(
            "How long the mail server may take for one answer; a whole delivery may take three times this.",
            "s",
            ge=1,
            le=600,
        ),
    ] = 30.0
    scores_delay_seconds: Annotated[
        float,
        setting(
            "How long an e-mail about scores waits, so that several imports make one, and none where they were seen in"
            " the page meanwhile.",
            "s",
            ge=0,
            le=86400,
        ),
    ] = 600.0

    @property
    def on(self) -> bool:
        """Whether e-mail is sent at all."""
        return self.host is not None


def check_mail(settings: MailSettings) -> None:
    """Raise `ConfigurationError` for settings that cannot work, naming them."""
    if not settings.on:
        return
    if not usable_address(settings.sender or ""):
        raise ConfigurationError("setting mail.sender: with mail.host it must be an address such as guide@example.edu")
    if (settings.username is None) != (settings.password is None):
        raise ConfigurationError("settings mail.username and mail.password: set both, or none")
    if settings.username is not None and settings.security == "none":
        raise ConfigurationError("setting mail.security: a password is sent only encrypted; choose starttls or tls")
    if settings.ca_file is not None:
        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            raise ConfigurationError(f"setting mail.ca_file: {settings.ca_file} cannot be used ({error})") from error
