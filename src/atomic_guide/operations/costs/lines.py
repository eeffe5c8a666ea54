"""In which line of a TOML text a key stands, since the parser does not say. Pure.

It reads headings and the beginnings of lines, passing over texts of several lines; that is all a price file has.
"""

from __future__ import annotations

import re

_HEADING = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_\"'.-]+)\s*\]?\]")
_KEY = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")
_LONG = ('"""', "'''")


def line_of(text: str, table: str, number: int = 0, key: str = "") -> int:
    """The line, from 1, of a key in the `number`th table of a name; of its heading where the key is not there.

    1 where there is no such table either.
    """
    heading, seen, inside, quote = 0, -1, False, ""
    for place, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if line.count(quote) % 2 else quote
            continue
        begun = next((mark for mark in _LONG if line.count(mark) % 2), "")
        if match := _HEADING.match(line):
            name = match[1].strip("\"'")
            if inside and key and name == f"{table}.{key}":
                return place
            here = name == table
            seen += here
            inside = here and seen == number
            heading = place if inside else heading
        elif inside and key and (match := _KEY.match(line)) and match[1] == key:
            return place
        quote = begun
    return heading or 1
