"""What is known of an upload, and the names that people give with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.errors import Invalid

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Row

TITLE_CHARACTERS = 300
_FILENAME_CHARACTERS = 200


class Upload(msgspec.Struct, frozen=True):
    """An upload: `received` bytes of `length` are on disk for certain. `user` is the uploader's LMS id."""

    id: str
    user: str
    title: str
    filename: str
    length: int
    received: int
    created_at: float
    expires_at: float
    finished: bool = False
    parts: str = ""
    """The objects that hold what was received, where that is a bucket's."""

    @classmethod
    def of(cls, row: Row) -> Upload:
        """An upload from its row: it has not been finished."""
        fields = [name for name in cls.__struct_fields__ if name != "finished"]
        return msgspec.convert({name: row[name] for name in fields}, cls)


def checked_title(text: str) -> str:
    """A title for people: one line, 1 to 300 characters. Raises `Invalid`."""
    title = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())
    if not 1 <= len(title) <= TITLE_CHARACTERS:
        raise Invalid(f"a title has 1 to {TITLE_CHARACTERS} characters", details={"field": "title"})
    return title


def shown_filename(text: str) -> str:
    """The last part of a client's file name, for showing; no file of ours is ever called so."""
    name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.split(r"[/\\]", text)[-1]).strip()
    return name[-_FILENAME_CHARACTERS:] or "video"
