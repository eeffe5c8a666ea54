"""Names of objects: chosen by the server, and checked wherever they are used. Pure."""

from __future__ import annotations

import re

from atomic_guide.errors import NotFound

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,11}")


def checked_name(name: str) -> str:
    """The name of an object or folder. Raises `NotFound` for one that no object of ours can have."""
    if not _NAME.fullmatch(name):
        raise NotFound("there is no such object")
    return name
