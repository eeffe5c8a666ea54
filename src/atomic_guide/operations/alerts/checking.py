"""Checks the settings of alerts at start: what cannot work is refused with the key and what is wrong with it."""

from __future__ import annotations

import base64
from email.errors import MessageError
from email.headerregistry import Address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from atomic_guide.errors import ConfigurationError, Invalid
from atomic_guide.operations.alerts.matchers import read_matchers
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.spans import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from atomic_guide.operations.alerts.settings import AlertSettings, ChannelSettings, RouteSettings

CONSOLE = "console"
"""The channel that is always there."""

ENCODED = "whsec_"
"""What a secret begins with whose bytes are written in base64, by Standard Webhooks."""

_MOST_CHANNELS = 20
_LONGEST_ADDRESS = 254
"""Characters, by the limit of a path in RFC 5321, 4.5.3.1.3."""

_SHOWN = 60
_SPANS = ("group_wait", "group_interval", "repeat_interval")


def check_alerts(settings: AlertSettings, *, mail: bool) -> None:
    """Raise `ConfigurationError` for settings that cannot work; `mail`: whether a mail server is set."""
    for fault in rules_of(settings.rules, settings.runbooks).faults:
        raise _refusal("rules", fault.said)
    for key, why in faults_of(settings, mail=mail):
        raise _refusal(key, why)


def faults_of(settings: AlertSettings, *, mail: bool) -> Iterator[tuple[str, str]]:
    """What is wrong beside the rules, by key."""
    if len(settings.channels) > _MOST_CHANNELS:
        yield "channels", f"there are more than {_MOST_CHANNELS}"
    names: set[str] = {CONSOLE}
    for channel in settings.channels:
        if channel.name in names:
            yield "channels", f"the name {channel.name} is taken"
        names.add(channel.name)
        if why := _wrong_channel(channel, mail=mail):
            yield "channels", f"{channel.name} {why}"
    for number, route in enumerate(settings.routes, 1):
        if why := _wrong_route(route, names):
            yield "routes", f"route {number} {why}"
    for number, one in enumerate(settings.inhibitions, 1):
        for side, matchers in (("source", one.source), ("target", one.target)):
            if why := _wrong_matchers(matchers) or ("" if matchers else "it is empty, and so every alert"):
                yield "inhibitions", f"{side} of inhibition {number}: {why}"


def _wrong_channel(channel: ChannelSettings, *, mail: bool) -> str:
    if channel.kind == "email":
        return _wrong_email(channel, mail=mail)
    if channel.to:
        return f"has `to`, which is for e-mail; a {channel.kind} has a url"
    if channel.kind == "slack" and channel.secret:
        return "has a secret: what goes to Slack is not signed, its url is the key"
    return _wrong_secret(channel.secret) or _wrong_url(channel.url)


def _wrong_email(channel: ChannelSettings, *, mail: bool) -> str:
    if not mail:
        return "sends e-mail, and no mail server is set (mail.host)"
    if not channel.to:
        return "has nobody to write to; set to = ['someone@example.edu']"
    if wrong := [one for one in channel.to if not _is_address(one)]:
        return f"writes to {wrong[0][:_SHOWN]!r}, which is no address such as someone@example.edu"
    return "has a url or a secret, which e-mail has not" if channel.url or channel.secret else ""


def _wrong_secret(secret: str | None) -> str:
    if secret is None or not secret.startswith(ENCODED):
        return ""
    try:
        base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except ValueError:
        return (
            f"has a secret that begins with {ENCODED}, and what follows is not base64: its receiver would know another"
        )
    return ""


def _is_address(text: str) -> bool:
    """Whether mail can be written to it: what cannot be is to be known now, and not when something fires."""
    try:
        return text.isascii() and len(text) <= _LONGEST_ADDRESS and Address(addr_spec=text).addr_spec == text
    except (ValueError, IndexError, MessageError):
        return False


def _wrong_url(url: str | None) -> str:
    """What is wrong with an address, without repeating it: it may be a secret."""
    if not url:
        return "has no url"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "has a url that is no web address"
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        return "has a url that is no web address"
    if parts.username is not None or parts.fragment:
        return "has a url with a name or a fragment (#) in it; leave that out"
    return ""


def _wrong_route(route: RouteSettings, names: set[str]) -> str:
    for name in route.channels:
        if name not in names:
            return f"names the channel {name}, which there is not; there are {', '.join(sorted(names))}"
    for name in _SPANS:
        value = getattr(route, name)
        if value is not None:
            try:
                seconds_of(value)
            except ValueError as error:
                return f"{name}: {error}"
    return _wrong_matchers(route.matchers)


def _wrong_matchers(matchers: Iterable[str]) -> str:
    try:
        read_matchers(matchers)
    except Invalid as error:
        return error.message
    return ""


def _refusal(key: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"setting alerts.{key}: {why}", details={"key": f"alerts.{key}"})
