"""Price files: the prices of one provider at one date, as TOML, checked whole before any is used.

    [prices]
    version = "2026-11"            # yours to choose; it is kept with every day that was priced with it
    provider = "our data centre"
    region = "campus"
    currency = "EUR"
    date = 2026-11-01              # when the prices were valid
    source = "https://..."         # where they stand
    gigabyte = 1_000_000_000       # bytes; some providers mean 1_073_741_824

    [[item]]
    what = "traffic.out"           # items.py says what there is, each with its one unit
    unit = "GB"
    price = "0.05"
    free = 100                     # of that unit, in a month
    tiers = [{ above = 10_000, price = "0.04" }]
    assumed = false                # whether it is a guess of ours; `note` then says of what kind

Own hardware may be described as it was bought in place of items (hardware.py).
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.costs.hardware import Hardware, items_of
from atomic_guide.operations.costs.items import KINDS
from atomic_guide.operations.costs.lines import line_of
from atomic_guide.operations.costs.prices import Item, Prices, Tier

LIMIT_BYTES = 128 * 1024
"""A file of all that a server pays for has 3 kB."""

_LINE = 1000
"""Characters of a line: the parser takes a time that grows with the square of a key's parts; `a.a.a...` of a hundred kB
took longer than a minute."""

_MOST_ITEMS, _MOST_TIERS = 200, 20
_MOST_PRICE = Decimal(1_000_000)
_MOST_DIGITS = 12
_MOST_BITS, _SHOWN = 256, 60
_CURRENCY = re.compile(r"[A-Z]{3}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_ADDRESS = re.compile(r"https?://\S{4,500}|stated by .{2,200}")
_GIGABYTES = {10**9, 2**30}
_HEAD = {"version", "provider", "region", "currency", "date", "source", "gigabyte", "note"}
_ITEM = {"what", "name", "unit", "price", "free", "tiers", "source", "assumed", "note"}
_TIER = {"above", "price"}


class _Place(NamedTuple):
    """A key of a table of the file, to say in which line it is wrong."""

    table: str
    number: int = 0
    key: str = ""


class _Refusal(Exception):
    def __init__(self, place: _Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def read_prices(text: str, name: str) -> Prices:
    """The prices of a file's text. Raises `Invalid` naming file, line and reason."""
    if len(text.encode()) > LIMIT_BYTES:
        raise Invalid(f"{name}: a price file has at most {LIMIT_BYTES // 1024} kB")
    if long := next((number for number, line in enumerate(text.splitlines(), 1) if len(line) > _LINE), None):
        raise Invalid(f"{name}, line {long}: a line has at most {_LINE:,} characters", details={"line": long})
    try:
        tree = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(_syntax(text, name, str(error))) from error
    except (RecursionError, InvalidOperation, ValueError) as error:
        raise Invalid(f"{name}: it is not TOML: {error}") from error
    try:
        return _prices(tree)
    except _Refusal as refusal:
        line = line_of(text, *refusal.place)
        raise Invalid(f"{name}, line {line}: {refusal}", details={"line": line}) from refusal


def _syntax(text: str, name: str, said: str) -> str:
    found = re.search(r"\(at line (\d+), column \d+\)", said)
    # Where the parser ran out of text, it is the last line that lacks something.
    line = int(found[1]) if found else max(text.rstrip("\n").count("\n") + 1, 1)
    reason = re.sub(r"\s*\(at [^)]*\)", "", said)
    return f"{name}, line {line}: it is not TOML: {reason[:1].lower()}{reason[1:]}"


def _prices(tree: dict[str, Any]) -> Prices:
    for unknown in tree.keys() - {"prices", "item", "hardware"}:
        raise _Refusal(_Place(unknown), f"there is no table [{unknown}]; there are [prices], [[item]] and [hardware]")
    head = _table(tree, "prices")
    _known(head, _HEAD, _Place("prices"))
    gigabyte = head.get("gigabyte", 10**9)
    if not isinstance(gigabyte, int) or isinstance(gigabyte, bool) or gigabyte not in _GIGABYTES:
        raise _Refusal(_Place("prices", 0, "gigabyte"), "gigabyte is 1_000_000_000 or 1_073_741_824 bytes")
    items = _items(tree) + _hardware(tree)
    if not items:
        raise _Refusal(_Place("prices"), "no price stands here; add an [[item]], or [hardware]")
    return Prices(
        version=_text(head, "version", _WORD, "a short word such as 2026-11"),
        provider=_text(head, "provider", re.compile(r".{1,80}"), "a name of at most 80 characters"),
        region=_text(head, "region", _WORD, "a short word such as eu-central"),
        currency=_text(head, "currency", _CURRENCY, "three capital letters of ISO 4217, such as EUR"),
        date=_date(head),
        source=_text(head, "source", _ADDRESS, "the address where the prices stand, or `stated by ...`"),
        gigabyte=int(gigabyte),
        note=str(head.get("note", "")),
        items=tuple(items),
    )


def _items(tree: dict[str, Any]) -> list[Item]:
    rows = tree.get("item", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _Refusal(_Place("item"), "write each item under a heading of its own, [[item]]")
    if len(rows) > _MOST_ITEMS:
        raise _Refusal(_Place("item", _MOST_ITEMS), f"there are more than {_MOST_ITEMS} items")
    found: list[Item] = []
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows):
        item = _item(row, number)
        if (item.what, item.name) in seen:
            also = "" if item.what != "fixed" else ", each with a `name` of its own"
            raise _Refusal(_Place("item", number, "what"), f"{item.what} has a price already{also}")
        seen.add((item.what, item.name))
        found.append(item)
    return found


def _item(row: dict[str, Any], number: int) -> Item:
    place = _Place("item", number)
    _known(row, _ITEM, place)
    what = row.get("what")
    if not isinstance(what, str) or what not in KINDS:
        known = ", ".join(KINDS)
        raise _Refusal(place._replace(key="what"), f"{_said(what)} is nothing that is priced; there are {known}")
    unit = row.get("unit")
    if unit != KINDS[what].unit:
        raise _Refusal(place._replace(key="unit"), f"{what} is priced by the {KINDS[what].unit}, not by {_said(unit)}")
    name = str(row.get("name", ""))
    if (what == "fixed") != bool(name):
        raise _Refusal(place._replace(key="name"), "`name` says what a fixed price is for, and stands nowhere else")
    assumed = row.get("assumed", False)
    if not isinstance(assumed, bool):
        raise _Refusal(place._replace(key="assumed"), "assumed is true or false")
    if assumed and not row.get("note"):
        raise _Refusal(place._replace(key="assumed"), "a price that is assumed says in `note` what it was made from")
    return Item(
        what=what,
        name=name,
        unit=str(unit),
        price=_amount(row, "price", place),
        free=_amount(row, "free", place, Decimal(0)),
        tiers=_tiers(row, place),
        source=str(row.get("source", "")),
        assumed=assumed,
        note=str(row.get("note", "")),
    )


def _tiers(row: dict[str, Any], place: _Place) -> tuple[Tier, ...]:
    place = place._replace(key="tiers")
    rows = row.get("tiers", [])
    if not isinstance(rows, list) or len(rows) > _MOST_TIERS or not all(isinstance(one, dict) for one in rows):
        raise _Refusal(place, f"tiers are at most {_MOST_TIERS} tables such as {{ above = 100, price = '0.04' }}")
    found: list[Tier] = []
    for one in rows:
        _known(one, _TIER, place)
        above, price = (_amount(one, name, place, key=name) for name in ("above", "price"))
        if above <= (found[-1].above if found else Decimal(0)):
            raise _Refusal(place, "tiers begin one above the other, the first above 0")
        found.append(Tier(above, price))
    return tuple(found)


def _hardware(tree: dict[str, Any]) -> list[Item]:
    if "hardware" not in tree:
        return []
    place = _Place("hardware")
    row = _table(tree, "hardware")
    if tree.get("item") and (taken := {one.get("what") for one in tree["item"]} & {"compute.cores", "storage.hot"}):
        raise _Refusal(place, f"{', '.join(sorted(taken))} has a price already; hardware makes one")
    _known(row, set(Hardware.__struct_fields__), place)
    values = {}
    for name in Hardware.__struct_fields__:
        if name in row or name in Hardware.required():
            values[name] = _amount(row, name, place)
    try:
        return items_of(Hardware(**values))
    except Invalid as error:
        raise _Refusal(place._replace(key=error.details.get("key", "")), error.message) from error


def _amount(row: dict[str, Any], name: str, place: _Place, default: Decimal | None = None, key: str = "") -> Decimal:
    place = place if key else place._replace(key=name)
    value = row.get(name, default)
    if value is None:
        raise _Refusal(place, f"`{name}` is missing")
    try:
        found = Decimal(value if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else "none")
    except InvalidOperation as error:
        raise _Refusal(place, f'`{name}` is a number such as "0.05", not {_said(value)}') from error
    if not found.is_finite() or not 0 <= found <= _MOST_PRICE:
        raise _Refusal(place, f"`{name}` is from 0 to {_MOST_PRICE:,}, not {_said(value)}")
    exponent = found.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _MOST_DIGITS:
        raise _Refusal(place, f"`{name}` has more than {_MOST_DIGITS} digits after the point")
    if isinstance(exponent, int) and exponent > 0:
        # Without an exponent of its own: 1E+2 is shown as people write it, and 0E+9 has no nine digits.
        found = Decimal(int(found)) if found else Decimal(0)
    return abs(found)


def _said(value: object) -> str:
    """A value of the file in a message, shortened; numbers of thousands of digits are not written out at all."""
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of so many digits"
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _table(tree: dict[str, Any], name: str) -> dict[str, Any]:
    found = tree.get(name)
    if not isinstance(found, dict):
        raise _Refusal(_Place(name), f"there is no table [{name}]" if found is None else f"[{name}] is one table")
    return found


def _known(row: dict[str, Any], names: Iterable[str], place: _Place) -> None:
    wanted = set(names)
    for unknown in [name for name in row if name not in wanted]:
        near = ", ".join(sorted(wanted))
        raise _Refusal(place._replace(key=unknown), f"there is no key {unknown} here; there are {near}")


def _text(head: dict[str, Any], name: str, form: re.Pattern[str], what: str) -> str:
    value = head.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        said = "is missing: it is" if value is None else "is"
        raise _Refusal(_Place("prices", 0, name), f"`{name}` {said} {what}")
    return value


def _date(head: dict[str, Any]) -> str:
    value = head.get("date")
    if isinstance(value, str):
        try:
            value = dt.date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise _Refusal(_Place("prices", 0, "date"), "`date` is the day of the prices, such as 2026-11-01")
    return value.isoformat()


def encoded(prices: Prices) -> dict[str, Any]:
    """As JSON, numbers as text so that none loses a digit."""
    found: dict[str, Any] = msgspec.to_builtins(prices, builtin_types=())
    return found
