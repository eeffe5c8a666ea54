"""Many rows of a course at once: read by their ids, or stored.

Reading keeps the order in which ids were given, answers one that is given twice twice, and names what is missing.

Storing goes in chunks, each a transaction of its own, so that what else is written to the shard waits for one chunk at
most. A row whose key is taken is left as it is, so a batch that broke off is simply sent again. A row that cannot be
stored is reported with its place and a reason, and the others are stored: what is wrong with values is found before
anything is sent; what only the database can tell, a chunk that it refuses, is halved until the row stands alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from atomic_guide.engines.data.database import Database, Params, Row, Transaction
from atomic_guide.engines.data.limits import BATCH_IDS, BATCH_ROWS
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, Invalid

Id = TypeVar("Id", bound=Hashable)

MOST_IDS = int(BATCH_IDS.fixed or 0)
"""In one read: its answer takes some tens of milliseconds to fetch."""

MOST_ROWS = int(BATCH_ROWS.fixed or 0)
"""In one call that stores; larger ones are imports, which go from file to database (course/analytics/imports.py)."""

_CHUNK = 5_000
"""Rows in one transaction: 10 to 30 ms of SQLite's one writer, and large enough that a commit's fsync hardly counts."""

_MOST_REFUSED = 1_000
"""Rows that the database itself refuses before the rest of a batch is given up: each costs a dozen statements."""

_TYPES: dict[str, frozenset[type]] = {
    "text": frozenset({str}),
    "integer": frozenset({int}),
    "float": frozenset({float, int}),
    "boolean": frozenset({bool}),
}
_INTEGER = 1 << 63
_EXACT = 1 << 53


class Found(NamedTuple):
    """What a read of many ids found: a row or None for each id as given, and the missing ids, each once."""

    rows: list[Row | None]
    missing: list[Any]


class Field(NamedTuple):
    """A column that rows fill: `most` is the greatest number of characters of a text."""

    name: str
    kind: Literal["text", "integer", "float", "boolean"]
    most: int = 10_000
    optional: bool = False


class Rejected(NamedTuple):
    """A row that is not stored: its place in what was given, from 0, and why."""

    place: int
    reason: str


class Inserted(NamedTuple):
    """How many rows were stored, how many were there already, and those that cannot be stored."""

    inserted: int
    duplicates: int
    rejected: list[Rejected]


class Table(NamedTuple):
    """Where rows of a course go: a table of the schema and the columns that follow bucket, tenant and course.

    Names are the program's own, never a request's.
    """

    name: str
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is written."""
        return ("bucket", "tenant", "course", *(field.name for field in self.fields))


async def read_many(
    database: Database, query: Query, ids: Sequence[Id], params: Params | None = None, *, name: str = "id"
) -> Found:
    """The row of each id: `query` reads one by its parameter `name`, and takes `params` besides.

    One statement on PostgreSQL. Raises `Invalid` for more than 10,000 ids, and what reading raises.
    """
    BATCH_IDS.note(len(ids))
    if len(ids) > MOST_IDS:
        raise BATCH_IDS.over(Invalid(f"{len(ids):,} ids are asked for; a read takes {MOST_IDS:,}, so ask in parts"))
    unique = list(dict.fromkeys(ids))
    found = await database.read_each(query, [{**(params or {}), name: each} for each in unique])
    rows = {each: answer[0] for each, answer in zip(unique, found, strict=True) if answer}
    return Found([rows.get(each) for each in ids], [each for each in unique if each not in rows])


async def insert_rows(shards: Shards, key: CourseKey, table: Table, rows: Sequence[Sequence[Any]]) -> Inserted:
    """Store rows of one course, each with the values of the table's fields; where the key is taken, nothing changes.

    Rows can be of no other course, and of a course that is moving they wait for it. Raises `Invalid` for more than
    100,000 rows, and what writing raises where the database is away: what was stored until then stays.
    """
    BATCH_ROWS.note(len(rows))
    if len(rows) > MOST_ROWS:
        raise BATCH_ROWS.over(
            Invalid(f"{len(rows):,} rows are given; a call takes {MOST_ROWS:,}, so send them in parts")
        )
    storing = _Storing(shards.of(key), key, table)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        rejected = await asyncio.to_thread(check_rows, table, chunk, start)
        bad = {each.place for each in rejected}
        storing.rejected += rejected
        await storing.store([(start + at, row) for at, row in enumerate(chunk) if start + at not in bad])
    return Inserted(storing.inserted, storing.duplicates, sorted(storing.rejected))


class _Storing:
    """A batch on its way, and what has become of it so far."""

    def __init__(self, database: Database, key: CourseKey, table: Table) -> None:
        self._database = database
        self._place = tuple(key.columns.values())
        self._table = table
        self._refused = 0
        self.inserted = 0
        self.duplicates = 0
        self.rejected: list[Rejected] = []

    async def store(self, rows: list[tuple[int, Sequence[Any]]]) -> None:
        """Store rows that passed the checks. Halves what the database refuses: a dozen rounds for one bad row."""
        waiting = [rows] if rows else []
        while waiting:
            part = waiting.pop()
            if self._refused >= _MOST_REFUSED:
                reason = f"not tried, after the database had refused {_MOST_REFUSED:,} others"
                self.rejected += [Rejected(index, reason) for index, _ in part]
                continue
            try:
                stored = await self._write([(*self._place, *row) for _, row in part])
            except (Conflict, Invalid) as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]
                else:
                    self._refused += 1
                    self.rejected.append(Rejected(part[0][0], error.message))
            else:
                self.inserted += stored
                self.duplicates += len(part) - stored

    async def _write(self, rows: list[tuple[Any, ...]]) -> int:
        async def work(tx: Transaction) -> int:
            return await tx.add_rows(self._table.name, self._table.columns, rows)

        return await self._database.write(work)


def check_rows(table: Table, rows: Sequence[Sequence[Any]], start: int = 0) -> list[Rejected]:
    """The rows whose values cannot be stored; places count from `start`.

    By column first, as nearly all rows are good: a check of each value by itself takes five times as long.
    """
    if all(len(row) == len(table.fields) for row in rows):
        suspects = [
            field
            for field, column in zip(table.fields, zip(*rows, strict=True), strict=False)
            if _suspect(field, column)
        ]
        if not suspects:
            return []
    found = []
    for index, row in enumerate(rows, start):
        reason = f"{len(row)} values for {len(table.fields)} columns" if len(row) != len(table.fields) else None
        for field, value in zip(table.fields, row, strict=False):
            reason = reason or _fault(field, value)
        if reason is not None:
            found.append(Rejected(index, reason))
    return found


def _suspect(field: Field, column: tuple[Any, ...]) -> bool:
    """Whether a column may hold a bad value; it is without where this says no."""
    if not set(map(type, column)) <= _TYPES[field.kind]:
        return True
    if field.kind == "text":
        return max(map(len, column)) > field.most or not _encodable("".join(column))
    if field.kind == "float":
        return not all(map(_finite, column))
    return field.kind == "integer" and (max(column) >= _INTEGER or min(column) < -_INTEGER)


def _fault(field: Field, value: Any) -> str | None:
    """What keeps a value out of its column."""
    if value is None:
        return None if field.optional else f"{field.name} is missing"
    if type(value) not in _TYPES[field.kind]:
        return f"{field.name} is {type(value).__name__}, not {field.kind}"
    if field.kind == "text":
        if len(value) > field.most:
            return f"{field.name} has {len(value):,} characters, more than {field.most:,}"
        return None if _encodable(value) else f"{field.name} has a character that no database stores"
    fits = _finite(value) if field.kind == "float" else -_INTEGER <= value < _INTEGER
    return None if fits else f"{field.name} is beyond what its column holds"


def _finite(value: float) -> bool:
    """Whether a column of floats holds the value as it is: an integer beyond 53 bits, it does not."""
    return -_EXACT <= value <= _EXACT if isinstance(value, int) else math.isfinite(value)


def _encodable(text: str) -> bool:
    """Whether a text has neither a zero byte, which PostgreSQL refuses, nor half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
