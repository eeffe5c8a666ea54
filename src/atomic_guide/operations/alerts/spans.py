"""Lengths of time as rules say them, `90s`, `5m`, `1h30m`, or a number of seconds; written as Prometheus does."""

from __future__ import annotations

import re

_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile("".join(rf"(?:(\d{{1,6}}){unit})?" for unit in _UNITS))

LONGEST = 90 * 86_400.0
"""Seconds; what takes longer than a term is no alert."""


def seconds_of(value: float | str) -> float:
    """Seconds. Raises ValueError saying what is written instead."""
    seconds = float(value) if isinstance(value, int | float) else _read(value)
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"{value} is not from 0 to {LONGEST / 86_400:.0f} days")
    return seconds


def _read(text: str) -> float:
    match = _SPAN.fullmatch(text) if text else None
    if match is None:
        raise ValueError(f"{text!r} is no length of time; write 90s, 5m, 1h30m or 7d")
    return float(sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS.values(), strict=True)))


def said(seconds: float) -> str:
    """As `5m` or `1h30m`; what is less than a second is rounded."""
    left = round(seconds)
    parts = []
    for unit, length in _UNITS.items():
        # A week is said as days: `7d` is read more easily than `1w`.
        if unit != "w" and left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return "".join(parts) or "0s"
