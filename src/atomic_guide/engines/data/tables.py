"""Statements over whole tables, made from the schema: for what must reach every table, one that comes later too.

Rows are taken in pages in order of their primary key, so that memory stays flat whatever a table holds, and are
removed in batches, so that no transaction keeps others waiting.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.migrations import Kind
from atomic_guide.engines.data.queries import Query


class Shape(NamedTuple):
    """A table: its columns with the Python type of each one's values, and those of its primary key in their order."""

    name: str
    columns: tuple[str, ...]
    types: tuple[type, ...]
    key: tuple[str, ...]

    def values(self, row: Row) -> tuple[Any, ...]:
        """A row's values in the order of the columns, the same from either engine: SQLite has no booleans."""
        pairs = zip(self.columns, self.types, strict=True)
        return tuple(None if (value := row[name]) is None else kind(value) for name, kind in pairs)


@functools.cache
def shapes(kind: Kind) -> dict[str, Shape]:
    """Every table of a database, by name."""
    # Importing the schema takes a second, and a server needs its tables only once it has something to erase.
    from atomic_guide.engines.data.schema import directory_metadata, shard_metadata  # noqa: PLC0415

    metadata = directory_metadata if kind == "directory" else shard_metadata
    return {
        name: Shape(
            name,
            tuple(table.columns.keys()),
            tuple(column.type.python_type for column in table.columns),
            tuple(column.name for column in table.primary_key),
        )
        for name, table in sorted(metadata.tables.items())
    }


@functools.cache
def count_rows(shape: Shape, filters: tuple[str, ...]) -> Query:
    """How many rows of each course equal the parameters of the filters' names: (bucket, course, found)."""
    sql = f"SELECT bucket, course, count(*) AS found FROM {shape.name} WHERE {_equal(filters)} GROUP BY bucket, course"  # noqa: S608 - names of the schema
    return Query(f"count_{shape.name}", "Rows of a tenant, or of a person, by course.", {None: sql})


@functools.cache
def read_page(shape: Shape, filters: tuple[str, ...], *, first: bool) -> Query:
    """The next `limit` rows behind the key in the parameters `after_...`, or the first ones."""
    key = _names(shape.key)
    behind = f" AND ({key}) > ({', '.join(f':after_{name}' for name in shape.key)})" if not first else ""
    sql = (
        f"SELECT {_names(shape.columns)} FROM {shape.name} WHERE {_equal(filters)}{behind} ORDER BY {key} LIMIT :limit"  # noqa: S608 - as above
    )
    return Query(f"page_{shape.name}", "The next rows in order of their key.", {None: sql})


@functools.cache
def delete_batch(shape: Shape, filters: tuple[str, ...]) -> Query:
    """Remove at most `limit` rows."""
    key = _names(shape.key)
    chosen = f"SELECT {key} FROM {shape.name} WHERE {_equal(filters)} LIMIT :limit"  # noqa: S608 - as above
    sql = f"DELETE FROM {shape.name} WHERE ({key}) IN ({chosen})"  # noqa: S608 - as above
    return Query(f"delete_{shape.name}", "Remove the rows of a course, a batch at a time.", {None: sql})


@functools.cache
def distinct_people(shape: Shape, column: str) -> Query:
    """Every (tenant, person) that a column names."""
    sql = f'SELECT DISTINCT tenant, "{column}" AS person FROM {shape.name}'  # noqa: S608 - as above
    return Query(f"people_{shape.name}", "Everybody whom a table names.", {None: sql})


@functools.cache
def read_all(shape: Shape) -> Query:
    """Every row, for tables that are small."""
    return Query(f"all_{shape.name}", "Every row.", {None: f"SELECT {_names(shape.columns)} FROM {shape.name}"})  # noqa: S608 - as above


@functools.cache
def clear(shape: Shape) -> Query:
    """Remove every row, for tables that are small."""
    return Query(f"clear_{shape.name}", "Remove every row.", {None: f"DELETE FROM {shape.name}"})  # noqa: S608 - as above


@functools.cache
def any_row(shape: Shape) -> Query:
    """One row, if there is any."""
    return Query(f"any_{shape.name}", "Whether there is a row.", {None: f"SELECT 1 AS found FROM {shape.name} LIMIT 1"})  # noqa: S608 - as above


@functools.cache
def buckets_of(shape: Shape) -> Query:
    """Every bucket that a table has rows of, with its rows."""
    sql = f"SELECT bucket, count(*) AS found FROM {shape.name} GROUP BY bucket"  # noqa: S608 - as above
    return Query(f"buckets_{shape.name}", "Rows by bucket.", {None: sql})


def _equal(filters: tuple[str, ...]) -> str:
    return " AND ".join(f'"{name}" = :{name}' for name in filters) or "1 = 1"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
