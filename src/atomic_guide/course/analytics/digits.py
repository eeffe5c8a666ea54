"""Numbers and times out of bytes, a whole column at once.

A column is a buffer with the start and the length of each field. What comes out is equal, bit for bit, to what
`float` and `datetime.fromisoformat` make of each field; a field in a form that is not read here is left to them.

- A decimal whose digits make a whole number up to 2**53, with at most 22 of them behind the point, is that number
  divided by a power of ten: both are exact as doubles, so that the one division rounds correctly (W. Clinger, "How
  to Read Floating Point Numbers Accurately", 1990).
- Where the number has up to 19 digits, the quotient is taken with what the two roundings left over (T. J. Dekker, "A
  Floating-Point Technique for Extending the Available Precision", 1971), and given up only where that lies so near the
  middle of two doubles that it cannot tell them apart. Longer ones go to `float`.
- A time is whole microseconds since 1970, below 2**53, divided once by a million, as `datetime.timestamp` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomic_guide.course.analytics.figures import Doubles, Flags, Whole

Bytes = NDArray[np.uint8]

WIDEST = 32
"""Bytes that a buffer must go on after the start of its last field, so that all can be read at one width."""

_SHORT = 20
"""Characters of a number that is read digit by digit: 19 digits, which 64 bits hold, and a point."""
_LONG = 25
"""Characters of a number that is given to `float`."""
_EXACT = 2**53
_POWERS = np.array([float(10**power) for power in range(_SHORT + 1)])
_HALF_OF_BITS = 2.0**27 + 1
_NEAR = 2.0**-30
"""Part of the gap between two doubles that counts as near its middle; what is left over is known to 2**-50 of it."""

_DATE = 10
_MINUTE = 16
_SECOND = 19
_LENGTHS = (_DATE, _MINUTE, _SECOND, 23, 26)
"""Lengths of a date, and of a time to the minute, second, milli- and microsecond, without an offset."""
_OFFSET = len("+00:00")
_YEARS = (1970, 2099)
"""2100 is no leap year, which `_date` does not know."""
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_FEBRUARY = 2
_DAYS_BEFORE = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_DAY = 86_400
_LAST_DIGIT = 9
_MICROSECONDS = 1_000_000


def decimals(buffer: Bytes, starts: Whole, lengths: Whole, points: bytes) -> tuple[Doubles, Flags]:
    """The value of each field, and whether it was read: digits with at most one of the `points`."""
    if not len(starts):
        return np.zeros(0), np.zeros(0, np.bool_)
    if _all_equal(buffer, starts, lengths):
        # The maximum of an exercise is the same on every line of most sheets.
        value, read = _decimals(buffer, starts[:1], lengths[:1], points)
        return np.full(len(starts), value[0]), np.full(len(starts), read[0])
    return _decimals(buffer, starts, lengths, points)


def times(buffer: Bytes, starts: Whole, lengths: Whole) -> tuple[Doubles, Flags]:
    """Seconds since 1970 of each field, and whether it was read: `YYYY-MM-DD[(T| )hh:mm[:ss[.fff[fff]]][Z|+hh:mm]]`."""
    values, read = np.zeros(len(starts)), np.zeros(len(starts), np.bool_)
    found = np.bincount(np.minimum(lengths, WIDEST + 1), minlength=WIDEST + 2)
    for length in _LENGTHS:
        for offset in (0, 1, _OFFSET) if length > _DATE else (0,):
            if not found[length + offset]:
                continue
            rows = np.flatnonzero(lengths == length + offset)
            values[rows], read[rows] = _times(_by_place(buffer, starts[rows], length + offset), length)
    return values, read


def _decimals(buffer: Bytes, starts: Whole, lengths: Whole, points: bytes) -> tuple[Doubles, Flags]:
    short = lengths <= _SHORT
    if short.all():
        return _short_decimals(buffer, starts, lengths, points)
    values, read = np.zeros(len(starts)), np.zeros(len(starts), np.bool_)
    for rows, reader in ((short, _short_decimals), (~short & (lengths <= _LONG), _long_decimals)):
        if rows.any():
            values[rows], read[rows] = reader(buffer, starts[rows], lengths[rows], points)
    return values, read


def _short_decimals(buffer: Bytes, starts: Whole, lengths: Whole, points: bytes) -> tuple[Doubles, Flags]:
    whole = np.zeros(len(starts), np.uint64)
    digits, seen, behind = (np.zeros(len(starts), np.int8) for _ in range(3))
    for place, column in enumerate(_by_place(buffer, starts, max(1, int(lengths.max())))):
        inside = lengths > place
        digit = column - np.uint8(ord("0"))
        is_digit = inside & (digit <= _LAST_DIGIT)
        seen += inside & _is_one_of(column, points)
        whole = np.where(is_digit, whole * np.uint64(10) + digit, whole)
        digits += is_digit
        behind += is_digit & (seen > 0)
    # With 20 digits the whole may have run over.
    read = (digits > 0) & (digits < _SHORT) & (seen <= 1) & (digits + seen == lengths)
    whole = np.where(read, whole, 0)
    if (whole <= _EXACT).all():
        return whole / _POWERS[behind], read
    values, sure = _quotient(whole, _POWERS[behind])
    return values, read & sure


def _quotient(whole: NDArray[np.uint64], divisor: Doubles) -> tuple[Doubles, Flags]:
    """A whole number by an exact power of ten, rounded once; and whether that is sure."""
    number = whole.astype(np.float64)
    # Unsigned numbers wrap round, and as signed ones they are the small difference again.
    left = (whole - number.astype(np.uint64)).astype(np.int64)
    first = number / divisor
    product, error = _product(first, divisor)
    correction = (number - product - error + left) / divisor
    value = first + correction
    rest = np.abs(first - value + correction)
    gap = np.spacing(value)
    # A quarter: below a power of two the gaps are half as wide.
    near = (np.abs(rest - gap / 2) <= gap * _NEAR) | (np.abs(rest - gap / 4) <= gap * _NEAR)
    return value, ~near | (whole == 0)


def _product(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """A product, and what its rounding left out, exactly."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, a_low * b_low - (product - a_high * b_high - a_low * b_high - a_high * b_low)


def _halves(a: Doubles) -> tuple[Doubles, Doubles]:
    """A number as the sum of two with half as many bits."""
    wide = a * _HALF_OF_BITS
    high = wide - (wide - a)
    return high, a - high


def _long_decimals(buffer: Bytes, starts: Whole, lengths: Whole, points: bytes) -> tuple[Doubles, Flags]:
    width = int(lengths.max())
    text = np.ascontiguousarray(_by_place(buffer, starts, width).T)
    inside = np.arange(width) < lengths[:, np.newaxis]
    is_point = _is_one_of(text, points) & inside
    is_digit = (text - np.uint8(ord("0")) <= _LAST_DIGIT) & inside
    seen = is_point.sum(axis=1)
    read = (seen <= 1) & (is_digit.sum(axis=1) + seen == lengths)
    text[is_point] = ord(".")
    text[~inside | ~read[:, np.newaxis]] = 0
    text[~read, 0] = ord("0")
    return np.array(list(map(float, text.view(f"S{width}").ravel().tolist()))), read


def _times(places: Bytes, length: int) -> tuple[Doubles, Flags]:
    """The times of fields of one length, `length` of it without their offset."""
    digits = places - np.uint8(ord("0"))
    read = np.ones(places.shape[1], np.bool_)
    days = _date(places, digits, read)
    seconds = np.zeros_like(days)
    if length > _DATE:
        read &= _is_one_of(places[10], b"T ") & (places[13] == ord(":"))
        seconds = _number(digits, 11, 13, read, most=23) * 3600 + _number(digits, 14, 16, read, most=59) * 60
    if length >= _SECOND:
        read &= places[16] == ord(":")
        seconds += _number(digits, 17, 19, read, most=59)
    seconds += days * _DAY - _offset(places, digits, length, read)
    if length <= _SECOND:
        return seconds.astype(np.float64), read
    read &= places[19] == ord(".")
    fraction = _number(digits, 20, length, read) * 10 ** (26 - length)
    return (seconds * _MICROSECONDS + fraction) / _MICROSECONDS, read


def _date(places: Bytes, digits: Bytes, read: Flags) -> Whole:
    """Days since 1970; clears `read` where there is no such day."""
    read &= (places[4] == ord("-")) & (places[7] == ord("-"))
    year, month = _number(digits, 0, 4, read, most=_YEARS[1]), _number(digits, 5, 7, read, most=12)
    day = _number(digits, 8, 10, read)
    read &= (year >= _YEARS[0]) & (month >= 1) & (day >= 1)
    month = np.where(read, month, 1)
    leap = year % 4 == 0
    read &= day <= _MONTH_DAYS[month] - (~leap & (month == _FEBRUARY))
    leap_days = (year - _YEARS[0] + 1) // 4 + (leap & (month > _FEBRUARY))
    return np.asarray((year - _YEARS[0]) * 365 + leap_days + _DAYS_BEFORE[month] + day - 1, np.int64)


def _offset(places: Bytes, digits: Bytes, length: int, read: Flags) -> Whole:
    """Seconds that a field's clock is ahead of UTC; clears `read` where its end is no offset."""
    end = places[length:]
    if len(end) == 1:
        read &= end[0] == ord("Z")
    if len(end) < _OFFSET:
        return np.zeros(places.shape[1], np.int64)
    hour = _number(digits, length + 1, length + 3, read, most=23)
    minute = _number(digits, length + 4, length + 6, read, most=59)
    read &= _is_one_of(end[0], b"+-") & (end[3] == ord(":"))
    ahead = hour * 3600 + minute * 60
    return np.where(end[0] == ord("-"), -ahead, ahead)


def _number(digits: Bytes, start: int, stop: int, read: Flags, most: int = 10**9) -> Whole:
    """The whole number between two places; clears `read` where one of them is no digit, or where it is over `most`."""
    number = np.zeros(digits.shape[1], np.int32)
    for digit in digits[start:stop]:
        read &= digit <= _LAST_DIGIT
        number = number * 10 + digit
    read &= number <= most
    return number.astype(np.int64)


def _is_one_of(column: Bytes, characters: bytes) -> Flags:
    found: Flags = column == characters[0]
    for character in characters[1:]:
        found = found | (column == character)
    return found


def _by_place(buffer: Bytes, starts: Whole, width: int) -> Bytes:
    """The first `width` bytes of each field, a row for each place in the field; past its end stands what follows."""
    every = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer.data, 0, (1,))
    return np.ascontiguousarray(every[starts].view(np.uint8).reshape(len(starts), width).T)


def _all_equal(buffer: Bytes, starts: Whole, lengths: Whole) -> bool:
    length = int(lengths[0])
    if not 0 < length <= _LONG or (lengths != length).any():
        return False
    places = _by_place(buffer, starts, length)
    return bool((places == places[:, :1]).all())
