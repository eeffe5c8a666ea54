"""WebVTT as a browser reads it, checked line by line before it is stored. Pure.

The grammar is that of the W3C recommendation WebVTT, section 4: a signature, then blocks of cues, notes, styles and
regions with a blank line between them. What a browser would silently drop is an error with its line here, because
the person who can mend it is looking at this answer, not at the player.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from atomic_guide.errors import Invalid

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{5,8}){0,2}")
"""The part of BCP 47 that caption files use: language, script, region, variants."""
# Bounded: Python refuses to read thousands of digits as a number.
_TIME = r"(?:(\d{2,6}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t]+(\S.*))?")
_SETTING = re.compile(
    r"(vertical:(rl|lr)|line:-?[\d.]+%?(,\w+)?|position:[\d.]+%(,[\w-]+)?|size:[\d.]+%|align:\w+|region:\S+)"
)
_LABELS = {
    "ar": "العربية",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fa": "فارسی",
    "fr": "Français",
    "he": "עברית",
    "hi": "हिन्दी",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "ru": "Русский",
    "sv": "Svenska",
    "tr": "Türkçe",
    "uk": "Українська",
    "ur": "اردو",
    "zh": "中文",
}


class Captions(msgspec.Struct, frozen=True):
    """One caption file of a video. `version` changes with its content."""

    lang: str
    label: str
    bytes: int
    version: int


class Block(NamedTuple):
    """Lines between blank ones, with the number of the first."""

    line: int
    lines: list[str]


def check_language(text: str) -> str:
    """A language tag in its usual case (`en`, `zh-Hant`, `pt-BR`). Raises `Invalid`."""
    if not _LANGUAGE.fullmatch(text):
        raise Invalid(f"{text[:40]!r} is no language tag; use one such as en, ar or pt-BR", details={"field": "lang"})
    first, *rest = text.split("-")
    return "-".join([first.lower(), *map(_cased, rest)])


def _cased(part: str) -> str:
    """A script as in Hant, a region as in BR."""
    return {4: part.title(), 2: part.upper()}.get(len(part), part.lower())


def label_of(language: str) -> str:
    """How a language calls itself, with its region or script where the tag has one."""
    name, _, rest = language.partition("-")
    label = _LABELS.get(name, name)
    return f"{label} ({rest})" if rest else label


def check_captions(content: bytes) -> int:
    """The number of cues of a WebVTT file. Raises `Invalid` naming the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _invalid(line, "it is not UTF-8; save the file with that encoding") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not re.match(r"WEBVTT([ \t]|$)", lines[0]):
        raise _invalid(1, "a WebVTT file begins with the line WEBVTT")
    if "\x00" in text:
        raise _invalid(text[: text.index("\x00")].count("\n") + 1, "it holds a zero byte")
    blocks = _blocks(lines)
    if len(blocks[0].lines) > 1 and any("-->" in line for line in blocks[0].lines):
        raise _invalid(2, "a blank line must follow the line WEBVTT")
    cues, latest = 0, 0.0
    for block in blocks[1:]:
        if re.match(r"(NOTE|STYLE|REGION)([ \t]|$)", block.lines[0]) and "-->" not in block.lines[0]:
            continue
        latest = _check_cue(block, latest)
        cues += 1
    if not cues:
        raise _invalid(len(lines), "there is no cue in it")
    return cues


def _blocks(lines: list[str]) -> list[Block]:
    blocks: list[Block] = []
    current: Block | None = None
    for number, line in enumerate(lines, 1):
        if not line:
            current = None
        elif current is None:
            current = Block(number, [line])
            blocks.append(current)
        else:
            current.lines.append(line)
    return blocks


def _check_cue(block: Block, earlier: float) -> float:
    """The start of a cue in seconds; cues stand in the order of their starts."""
    at = 0 if "-->" in block.lines[0] else 1
    number = block.line + at
    if len(block.lines) <= at or "-->" not in block.lines[at]:
        raise _invalid(block.line, "a cue needs its times, such as 00:01.000 --> 00:04.000")
    timing = _TIMING.fullmatch(block.lines[at].strip(" \t"))
    if not timing:
        raise _invalid(number, "its times are not written as 00:01.000 --> 00:04.000")
    start, end = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:8])
    if end <= start:
        raise _invalid(number, "the cue ends before it begins")
    if start < earlier:
        raise _invalid(number, "the cue begins before the one above it")
    for setting in (timing[9] or "").split():
        if not _SETTING.fullmatch(setting):
            raise _invalid(number, f"{setting[:40]!r} is no cue setting")
    for offset, line in enumerate(block.lines[at + 1 :], at + 1):
        if "-->" in line:
            raise _invalid(block.line + offset, "a blank line must stand between two cues")
    return start


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _invalid(line: int, problem: str) -> Invalid:
    return Invalid(f"the caption file cannot be used, line {line}: {problem}", details={"line": line})
