"""How much more there will be: what an operator expects of users, courses and lectures. Pure.

    2x/year                                       everything doubles in a year
    +10%/month                                    compound: on what there is by then
    +10%/month linear                             the same amount each month, a tenth of today's
    +500 users/month                              so many more each month
    1.5x..3x/year                                 nine of ten chances are between these
    users=2x/year,courses=+3%/month,lectures=+200/month

What grows is a driver (`DRIVERS`). An entry without one is of all, a driver that no entry names stays as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.spread import Series, Spread

Driver = Literal["users", "courses", "lectures"]

DRIVERS: tuple[Driver, ...] = ("users", "courses", "lectures")

DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "quarter": 365.25 / 4, "year": 365.25}

MOST_CHARACTERS = 300
_MOST_IN_A_YEAR = 100.0
"""A hundredfold or a hundredth in a year: beyond, the system of today says nothing."""

_ROUNDED = 1e-9

_AMOUNT = r"(?P<sign{n}>[+-])?(?P<number{n}>\d{{1,9}}(?:\.\d{{1,6}})?)(?P<unit{n}>x|%)?"
_ENTRY = re.compile(
    r"(?:(?P<driver>[a-z]+)\s*=\s*)?"
    + _AMOUNT.format(n=1)
    + r"(?:\s*\.\.\s*"
    + _AMOUNT.format(n=2)
    + r")?\s*(?P<noun>[a-z]+)?\s*/\s*(?P<period>[a-z]+)(?:\s+(?P<kind>linear))?",
    re.ASCII,
)
_BEGINS = re.compile(
    r"(?:[a-z]+\s*=\s*)?[+-]?(?:\d{1,9}(?:\.\d{1,6})?[x%]?)?(?:\s*\.\.\s*[+-]?\d{1,9}(?:\.\d{1,6})?[x%]?)?"
    r"\s*(?:(?:users|courses|lectures)\s*)?(?:/\s*[a-z]*)?\s*",
    re.ASCII,
)
"""What an entry that is refused may yet begin with: its column is where that ends."""
_WRITE = "write 2x/year, +10%/month, +500 users/month or users=2x/year,lectures=+5%/month"


class Growth(NamedTuple):
    """How one driver grows: `rate` a day, of the logarithm where compound, else of today's amount or in numbers.

    `rate` is spread over what may be; a growth that was told as one figure has a spread of its own (`assumed`).
    """

    compound: bool
    rate: Spread
    counted: bool = False
    text: str = ""
    assumed: bool = True

    def factor(self, days: Series, levels: Series, base: float | None) -> Series:
        """How many times today's amount there is after so many days, shape (levels, days); never under 0.

        `levels` choose from the spread of the rate; `base` is today's number, which a growth in numbers needs.
        """
        rate = self.rate.at(levels)[:, None]
        if self.compound:
            found: Series = np.exp(rate * days[None, :])
            return found
        if self.counted:
            if not base:
                raise Invalid(f"{self.text}: how many there are today is not known; say it with --now or write 2x/year")
            rate = rate / base
        line: Series = np.maximum(1 + rate * days[None, :], 0.0)
        return line


NONE = Growth(compound=True, rate=Spread.exactly(0.0), text="none", assumed=False)


def read_growth(text: str, spread: float) -> dict[Driver, Growth]:
    """The growth of each driver; nine of ten times, a rate told as one figure is off by up to `spread` of itself.

    Raises `Invalid` naming the column, from 1, and the reason.
    """
    if not text.strip():
        raise _refused(1, f"there is nothing; {_WRITE}")
    if len(text) > MOST_CHARACTERS:
        raise _refused(MOST_CHARACTERS, f"it has over {MOST_CHARACTERS} characters")
    found: dict[Driver, Growth] = {}
    column = 1
    for part in text.split(","):
        begin = column + len(part) - len(part.lstrip())
        drivers, growth = _entry(part.strip(), begin, spread)
        if again := [driver for driver in drivers if driver in found]:
            raise _refused(begin, f"{again[0]} was told already")
        found |= dict.fromkeys(drivers, growth)
        column += len(part) + 1
    return {driver: found.get(driver, NONE) for driver in DRIVERS}


def told(growths: Mapping[Driver, Growth]) -> str:
    """Growths in one line for people."""
    return ", ".join(f"{driver} {growths[driver].text}" for driver in DRIVERS)


def _entry(text: str, column: int, spread: float) -> tuple[tuple[Driver, ...], Growth]:
    match = _ENTRY.fullmatch(text)
    if match is None:
        begun = _BEGINS.match(text)
        good = begun.end() if begun else 0
        raise _refused(column + good, f"{text[good:][:20]!r} is not understood; {_WRITE}")
    period = match["period"].removesuffix("s") if match["period"] not in DAYS else match["period"]
    if period not in DAYS:
        raise _refused(column + match.start("period"), f"{match['period']!r} is none of {', '.join(DAYS)}")
    drivers = _drivers(match, column)
    amounts = [
        (match[f"sign{n}"], float(match[f"number{n}"]), match[f"unit{n}"]) for n in (1, 2) if match[f"number{n}"]
    ]
    for number, amount in enumerate(amounts, 1):
        _check_amount(amount, column + match.start(f"number{number}"), text)
    if len(amounts) > 1 and amounts[0][2] != amounts[1][2]:
        raise _refused(column + match.start("number2"), "both ends of a range are of one kind, such as 1.5x..3x/year")
    unit, linear = amounts[0][2], match["kind"] is not None
    if unit is None and not (match["noun"] or match["driver"]):
        raise _refused(column + match.end("number1"), f"{match['number1']} of what? {_WRITE}")
    if unit is not None and match["noun"]:
        raise _refused(
            column + match.start("noun"),
            f"write {match['noun']}={text[: match.start('noun')].strip()}/{match['period']}",
        )
    compound = unit is not None and not linear
    rates = sorted(_rate(amount, DAYS[period], linear=linear) for amount in amounts)
    for rate in rates:
        most = math.log(_MOST_IN_A_YEAR) if compound else _MOST_IN_A_YEAR
        if unit is not None and abs(rate) * DAYS["year"] > most + _ROUNDED:
            raise _refused(column + match.start("number1"), f"that is over {_MOST_IN_A_YEAR:g}-fold in a year")
    middle = (rates[0] + rates[-1]) / 2
    low, high = (rates[0], rates[-1]) if len(rates) > 1 else sorted((middle * (1 - spread), middle * (1 + spread)))
    return drivers, Growth(compound, Spread.between(low, middle, high), unit is None, text, assumed=len(rates) == 1)


def _drivers(match: re.Match[str], column: int) -> tuple[Driver, ...]:
    names = {kind: match[kind] for kind in ("driver", "noun") if match[kind]}
    for kind, name in names.items():
        if name not in DRIVERS:
            raise _refused(column + match.start(kind), f"{name!r} is none of {', '.join(DRIVERS)}")
    if len(set(names.values())) > 1:
        raise _refused(column + match.start("noun"), f"{names['driver']} do not grow by {names['noun']}")
    name = next(iter(names.values()), None)
    return tuple(driver for driver in DRIVERS if name in {None, driver})


def _check_amount(amount: tuple[str | None, float, str | None], column: int, text: str) -> None:
    sign, number, unit = amount
    if unit == "x" and sign:
        raise _refused(column - 1, "a factor has no sign: 2x doubles, 0.5x halves")
    if unit == "x" and not number:
        raise _refused(column, "a factor is over 0: 0.5x halves")
    if unit != "x" and not sign:
        raise _refused(
            column, f"say + or - before {number:g}{unit or ''}: {text.replace(f'{number:g}', f'+{number:g}', 1)}"
        )
    if unit == "%" and sign == "-" and number >= 100:  # noqa: PLR2004 - per cent
        raise _refused(column, "no more than all can go")


def _rate(amount: tuple[str | None, float, str | None], days: float, *, linear: bool) -> float:
    """A day: of the logarithm, or of today's amount where linear, or in numbers."""
    sign, number, unit = amount
    signed = -number if sign == "-" else number
    if unit is None:
        return signed / days
    share = signed - 1 if unit == "x" else signed / 100
    return share / days if linear else math.log1p(share) / days


def _refused(column: int, why: str) -> Invalid:
    return Invalid(f"growth, column {column}: {why}", details={"column": column})
