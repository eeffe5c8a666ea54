"""What may be said: the limits of a message and of its id. Pure."""

from __future__ import annotations

import re
import unicodedata

from atomic_guide import errors
from atomic_guide.course.chat.limits import MESSAGE_CHARACTERS

_ID = re.compile(r"[\x21-\x7e]{1,255}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def check_content(content: str, most: int = 4000) -> str:
    """The text of a message of at most `most` characters, as it was sent. Raises `Invalid` saying what is wrong."""
    if _FORBIDDEN.search(content):
        message = "content holds control characters; of those only line feeds and tabs are taken"
        raise errors.Invalid(message, details={"field": "content"})
    length = len(content) if content.isascii() else len(unicodedata.normalize("NFC", content))
    if length > MESSAGE_CHARACTERS.top:
        MESSAGE_CHARACTERS.note(length)
    if length > most:
        message = f"content has {length} characters, at most {most} are taken"
        raise MESSAGE_CHARACTERS.over(errors.Invalid(message, details={"field": "content", "limit": most}))
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
