"""Reading settings from a TOML file, within bounds: a parser takes hours for what no settings file has."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1_000_000
_MOST_DOTS = 1000
"""Dots of a line: a key of ten thousands of parts takes time with the square of their number, and recursion."""


class NotToml(ValueError):
    """A file that is not taken as TOML; the message goes on after its name."""


def read_toml(path: Path) -> dict[str, Any]:
    """Everything that a file of at most a megabyte says. Raises `NotToml`, and `OSError` where it cannot be read."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise NotToml(f"has over {_MOST_BYTES:,} bytes, which no settings have")
    try:
        text = content.decode()
        long = next((number for number, line in enumerate(text.splitlines(), 1) if line.count(".") > _MOST_DOTS), None)
        if long is not None:
            raise NotToml(f"has over {_MOST_DOTS:,} dots in line {long}, which no settings have")
        return tomllib.loads(text)
    except RecursionError as error:
        raise NotToml("is nested too deep for settings") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotToml(f"is not TOML: {error}") from error
