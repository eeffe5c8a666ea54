"""The rows of a scope, over all tables of a shard: the statements that a move needs, made from the schema.

A bucket's rows are those of its courses but the ones that have a place of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from atomic_guide.engines.data.moves.ledger import Override
from atomic_guide.engines.data.moves.move import Scope
from atomic_guide.engines.data.queries import Query

_OWN = {"bucket_owner", "schema_floor"}
"""Tables about the shard itself, which do not move."""


class Table(NamedTuple):
    """A table of a shard; `columns` and `key` (its primary key) are quoted names with commas between."""

    name: str
    columns: str
    key: str


@functools.cache
def tables() -> tuple[Table, ...]:
    """The tables whose rows move."""
    from atomic_guide.engines.data.schema import shard_metadata  # noqa: PLC0415 - SQLAlchemy takes 0.3 s to import

    return tuple(
        Table(
            table.name,
            ", ".join(f'"{column.name}"' for column in table.columns),
            ", ".join(f'"{column.name}"' for column in table.primary_key),
        )
        for table in shard_metadata.sorted_tables
        if table.name not in _OWN
    )


def literal(text: str) -> str:
    """A text as PostgreSQL reads it inside a statement; a colon is written by its code, as `:name` is a parameter."""
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a")
    return f"E'{escaped}'"


def buckets_of(table: Table) -> Query:
    """The buckets that have rows in a table: one step down its key for each, however many rows they have."""
    least = f'SELECT min(bucket) FROM "{table.name}"'  # noqa: S608 - names of the schema
    following = f"SELECT ({least} WHERE bucket > found.bucket) FROM found WHERE found.bucket IS NOT NULL"  # noqa: S608 - as said
    found = f"WITH RECURSIVE found (bucket) AS (SELECT ({least}) UNION ALL {following})"
    text = f"{found} SELECT bucket FROM found WHERE bucket IS NOT NULL"  # noqa: S608 - as said
    return Query(f"buckets_of_{table.name}", "Which buckets have rows.", {None: text})


def courses_of(table: Table) -> Query:
    """The courses of a bucket that have rows in a table."""
    text = f'SELECT DISTINCT tenant, course FROM "{table.name}" WHERE bucket = :bucket'  # noqa: S608 - as above
    return Query(f"courses_of_{table.name}", "Which courses of a bucket have rows.", {None: text})


class Rows:
    """The rows of a scope. Names in its statements come from the schema, values are parameters."""

    def __init__(self, scope: Scope, overrides: Sequence[Override]) -> None:
        self._scope = scope
        self._apart = [] if scope.is_course else [(each.tenant, each.course) for each in overrides]

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """What the statements take."""
        found: dict[str, Any] = {"bucket": self._scope.bucket}
        for number, (tenant, course) in enumerate(self._named()):
            found |= {f"tenant_{number}": tenant, f"course_{number}": course}
        return found

    @functools.cached_property
    def condition(self) -> str:
        """The rows' condition, with parameters."""
        return self._condition(lambda name, _: f":{name}")

    @functools.cached_property
    def filter(self) -> str:
        """The rows' condition, with its values, for a publication."""
        return self._condition(lambda _, value: str(value) if isinstance(value, int) else literal(value))

    def delete(self, table: Table) -> Query:
        """Remove at most `:limit` rows."""
        found, name = f'FROM "{table.name}" WHERE {self.condition} LIMIT :limit', table.name
        # By their places on PostgreSQL, whose planner may join the keys in a way that takes seconds.
        texts: dict[str | None, str] = {
            "postgresql": f'DELETE FROM "{name}" WHERE ctid = ANY (ARRAY(SELECT ctid {found}))',  # noqa: S608 - as said
            "sqlite": f'DELETE FROM "{name}" WHERE ({table.key}) IN (SELECT {table.key} {found})',  # noqa: S608 - as said
        }
        return Query(f"purge_{name}", "Remove rows of a scope.", texts)

    def clear(self, table: Table) -> Query:
        """Remove all rows."""
        text = f'DELETE FROM "{table.name}" WHERE {self.condition}'  # noqa: S608 - as said
        return Query(f"clear_{table.name}", "Remove all rows of a scope.", {None: text})

    def select(self, table: Table) -> Query:
        """All rows."""
        text = f'SELECT {table.columns} FROM "{table.name}" WHERE {self.condition}'  # noqa: S608 - as said
        return Query(f"select_{table.name}", "All rows of a scope.", {None: text})

    def drop_different(self, table: Table) -> str:
        """Remove from the file that is being written what the attached file `source` has not, or not so."""
        different = f"{self._of_file('main', table)} EXCEPT {self._of_file('source', table)}"
        found = f"SELECT {table.key} FROM ({different})"  # noqa: S608 - as said
        return f'DELETE FROM main."{table.name}" WHERE ({table.key}) IN ({found})'  # noqa: S608 - as said

    def add_missing(self, table: Table) -> str:
        """Take from the attached file `source` the rows whose keys are missing here."""
        same = " AND ".join(f"m.{column} = s.{column}" for column in table.key.split(", "))
        there = f'SELECT {table.columns} FROM source."{table.name}" AS s WHERE {self.condition}'  # noqa: S608 - as said
        missing = f'NOT EXISTS (SELECT 1 FROM main."{table.name}" AS m WHERE {same})'  # noqa: S608 - as said
        return f'INSERT INTO main."{table.name}" ({table.columns}) {there} AND {missing}'

    def counts(self, table: Table) -> str:
        """How many rows are here, and how many there."""
        here, there = (f"(SELECT count(*) FROM ({self._of_file(file, table)}))" for file in ("main", "source"))  # noqa: S608
        return f"SELECT {here}, {there}"

    def digests(self) -> Query:
        """Count and sum of hashes of each table's rows, on PostgreSQL.

        The hash is that of hash partitioning, which keeps its values from version to version; over the rows' texts it
        took three times as long (13,000 rows: 30 ms in place of 10).
        """
        parts = [
            f"SELECT '{table.name}' AS name, count(*) AS rows,"  # noqa: S608 - as said
            f" coalesce(sum(hash_record_extended(ROW({table.columns}), 0)), 0)::text AS digest"
            f' FROM "{table.name}" WHERE {self.condition}'
            for table in tables()
        ]
        return Query("digest_rows", "What a scope holds.", {None: " UNION ALL ".join(parts)})

    def _of_file(self, file: str, table: Table) -> str:
        return f'SELECT {table.columns} FROM {file}."{table.name}" WHERE {self.condition}'  # noqa: S608 - as said

    def _named(self) -> list[tuple[str, str]]:
        return [(self._scope.tenant, self._scope.course)] if self._scope.is_course else self._apart

    def _condition(self, written: Callable[[str, str | int], str]) -> str:
        parts = [f"bucket = {written('bucket', self._scope.bucket)}"]
        for number, (tenant, course) in enumerate(self._named()):
            one = f"tenant = {written(f'tenant_{number}', tenant)} AND course = {written(f'course_{number}', course)}"
            parts.append(one if self._scope.is_course else f"NOT ({one})")
        return " AND ".join(parts)
