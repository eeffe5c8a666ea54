"""What may be said: the limits of a message and of its id. Pure."""

from __future__ import annotations

import re
import unicodedata

from atomic_guide import errors

CONTENT_LIMIT = 4000
"""Characters of a message, counted after Unicode normalisation so that an accent counts once however it is sent."""

_ID = re.compile(r"[\x21-\x7e]{1,255}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def check_content(content: str) -> str:
    """The text of a message, as it was sent. Raises `Invalid` saying what is wrong with it."""
    if _FORBIDDEN.search(content):
        message = "content holds control characters; of those only line feeds and tabs are taken"
        raise errors.Invalid(message, details={"field": "content"})
    length = len(content) if content.isascii() else len(unicodedata.normalize("NFC", content))
    if length > CONTENT_LIMIT:
        message = f"content has {length} characters, at most {CONTENT_LIMIT} are taken"
        raise errors.Invalid(message, details={"field": "content", "limit": CONTENT_LIMIT})
    if not any(unicodedata.category(character)[0] not in "ZC" for character in content):
        message = "content is empty"
        raise errors.Invalid(message, details={"field": "content"})
    return content


def check_id(identifier: str) -> str:
    """A client's id for its message. Raises `Invalid` unless it is 1 to 255 visible ASCII characters."""
    if not _ID.fullmatch(identifier):
        message = "id must be 1 to 255 visible ASCII characters"
        raise errors.Invalid(message, details={"field": "id"})
    return identifier
