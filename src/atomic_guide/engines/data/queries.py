"""SQL by name: every statement lives in a `queries.sql` beside the code that runs it.

A block of such a file:

    -- name: post_message
    -- purpose: Store one message under the next sequence number.
    INSERT INTO ... VALUES (:bucket, :tenant, ...)

Parameters are written `:name`. A block may carry `-- dialect: sqlite` or `-- dialect: postgresql`; then the
same name may stand once for each dialect.

Statements over all courses of a shard must pass over rows that are not, or not yet, its own while a bucket moves:
`{{readable jobs}}` and `{{writable jobs}}` become that condition for the rows of `jobs`, a table or its alias.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from typing import NamedTuple

# The rows of a course that has an entry of its own go by that, the others by their bucket's. A bucket without an
# entry has no rows here, so only those that are arriving, leaving or gone need be named: usually none at all.
_OWNERSHIP = """NOT EXISTS (
  SELECT 1 FROM bucket_owner AS o WHERE o.state IN ({states}) AND o.bucket = {rows}.bucket
  AND (o.tenant = {rows}.tenant AND o.course = {rows}.course OR o.tenant = '' AND NOT EXISTS (
    SELECT 1 FROM bucket_owner AS p
    WHERE p.bucket = {rows}.bucket AND p.tenant = {rows}.tenant AND p.course = {rows}.course)))"""
_STATES = {"readable": "'arriving', 'gone'", "writable": "'arriving', 'gone', 'fenced'"}
_MACRO = re.compile(r"\{\{(readable|writable) (\w+)\}\}")
_BUCKET = re.compile(r"(?<![:\w]):bucket\b")
_FENCE = "fence_read(:bucket, :tenant, :course, :fence_epoch)"
_NUMBER = re.compile(r"\$(\d+)")
# A colon that is neither part of a cast (`::text`) nor inside a word starts a parameter.
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_HEADER = re.compile(r"^-- (name|purpose|dialect):\s*(.+?)\s*$")


class Positional(NamedTuple):
    """A statement with numbered parameters and the names that fill them, in order."""

    sql: str
    names: tuple[str, ...]

    def many(self, kinds: Sequence[str]) -> str:
        """The statement for many sets of parameters at once: each parameter is an array, one place for each set.

        `kinds` are the parameters' types, such as `int4`. The first column of the answer, `set_number`, counts the
        sets from 1.
        """
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
        columns = ", ".join(f'"{name}"' for name in self.names)
        each = _NUMBER.sub(lambda match: f'k."{self.names[int(match[1]) - 1]}"', self.sql)
        sets = f"unnest({arrays}) WITH ORDINALITY AS k({columns}, set_number)"
        return f"SELECT k.set_number, q.* FROM {sets}, LATERAL ({each}) AS q"  # noqa: S608 - from named statements


class Query:
    """One named statement, with a text for each dialect."""

    def __init__(self, name: str, purpose: str, texts: dict[str | None, str]) -> None:
        self.name = name
        self.purpose = purpose
        self._texts = texts

    def __repr__(self) -> str:
        return f"Query({self.name!r})"

    @cached_property
    def sqlite(self) -> str:
        """The text for SQLite, with `:name` parameters."""
        return self.text("sqlite")

    @cached_property
    def sqlite_numbered(self) -> Positional:
        """The text for SQLite with numbered parameters, for rows that are tuples."""
        return numbered(self.text("sqlite"), mark="?")

    @cached_property
    def postgresql(self) -> Positional:
        """The text for PostgreSQL with numbered parameters, as asyncpg takes it."""
        return numbered(self.text("postgresql"))

    @cached_property
    def fenced(self) -> Positional:
        """The text for PostgreSQL that fails where the shard does not own the course; takes `fence_epoch` too.

        The bucket becomes the answer of a stable function, which the server evaluates once for each use as a key of
        an index, in the snapshot that the rows are read in. Raises ValueError for a statement without a bucket.
        """
        text, count = _BUCKET.subn(_FENCE, self.text("postgresql"))
        if not count:
            message = f"the query {self.name} names no :bucket, so that no shard can be asked whether it owns it"
            raise ValueError(message)
        return numbered(text)

    def text(self, dialect: str) -> str:
        """The statement for `dialect`; KeyError where it was written for another one only."""
        return self._texts.get(dialect) or self._texts[None]

    def speaks(self, dialect: str) -> bool:
        """Whether there is a text for `dialect`."""
        return dialect in self._texts or None in self._texts

    @property
    def parameters(self) -> frozenset[str]:
        """The names that the statement takes."""
        return frozenset(name for text in self._texts.values() for name in _PARAMETER.findall(text))


def numbered(text: str, mark: str = "$") -> Positional:
    """A statement with `:name` parameters as one with numbers: `$1`, or `?1` for SQLite."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"{mark}{names.index(match[1]) + 1}"

    return Positional(_PARAMETER.sub(number, text), tuple(names))


def parse_queries(text: str, source: str) -> dict[str, Query]:
    """Read the blocks of a `queries.sql`. Raises ValueError for a block without name or purpose, or a name twice."""
    texts: dict[str, dict[str | None, str]] = {}
    purposes: dict[str, str] = {}
    for block in re.split(r"(?m)^(?=-- name:)", text):
        lines = block.strip().splitlines()
        if not lines or not lines[0].startswith("-- name:"):
            if any(line.strip() and not line.startswith("--") for line in lines):
                message = f"{source}: a statement stands before the first name"
                raise ValueError(message)
            continue
        header = {match[1]: match[2] for match in map(_HEADER.match, lines) if match}
        name, dialect = header["name"], header.get("dialect")
        body = "\n".join(line for line in lines if not _HEADER.match(line)).strip().rstrip(";")
        body = _MACRO.sub(lambda match: _OWNERSHIP.format(states=_STATES[match[1]], rows=match[2]), body)
        if not body or dialect in texts.setdefault(name, {}):
            message = f"{source}: the query {name} is empty or stands twice"
            raise ValueError(message)
        texts[name][dialect] = body
        purposes[name] = header.get("purpose") or purposes.get(name, "")
        if not purposes[name]:
            message = f"{source}: the query {name} has no purpose"
            raise ValueError(message)
    return {name: Query(name, purposes[name], variants) for name, variants in texts.items()}


def load_queries(package: str, filename: str = "queries.sql") -> dict[str, Query]:
    """Read the `queries.sql` of a package, such as `load_queries(__package__)`."""
    text = resources.files(package).joinpath(filename).read_text(encoding="utf-8")
    return parse_queries(text, f"{package}/{filename}")
