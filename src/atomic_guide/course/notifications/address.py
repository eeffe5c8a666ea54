"""E-mail addresses as an LMS sends them. Pure."""

from __future__ import annotations

import re

_LONGEST = 254
"""Characters of an address, by the limit of a path in RFC 5321, 4.5.3.1.3."""

# Without quoted forms and comments: no LMS sends them, and what stands in a header or a command must not escape it.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def usable_address(text: str | None) -> str:
    """The address in ASCII, its domain in the form that DNS knows; empty for what cannot be mailed safely."""
    local, _, domain = (text or "").strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    address = f"{local}@{domain}"
    sound = _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) and len(local) <= 64 and len(address) <= _LONGEST  # noqa: PLR2004 - RFC 5321, 4.5.3.1.1
    return address if sound else ""
