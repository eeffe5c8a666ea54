"""SQL by name: every statement lives in a `queries.sql` beside the code that runs it.

A block of such a file:

    -- name: post_message
    -- purpose: Store one message under the next sequence number.
    INSERT INTO ... VALUES (:bucket, :tenant, ...)

Parameters are written `:name`. A block may carry `-- dialect: sqlite` or `-- dialect: postgresql`; then the
same name may stand once for each dialect. `-- batch: yes` marks a point read: a SELECT by a key that is asked for so
often that reads of the same moment are sent as one statement (coalesce.py).

Statements over all courses of a shard must pass over rows that are not, or not yet, its own while a bucket moves:
`{{readable jobs}}` and `{{writable jobs}}` become that condition for the rows of `jobs`, a table or its alias.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from typing import NamedTuple

# The rows of a course that has an entry of its own go by that, the others by their bucket's. A bucket without an
# entry has no rows here, so only those that are arriving, leaving or gone need be named: usually none at all, which one
# look at an index tells for the whole statement. It is a CASE because a planner makes a join of anything less, and
# with it reads all rows where an index and a LIMIT would give some.
_OWNERSHIP = """CASE WHEN EXISTS (
  SELECT 1 FROM bucket_owner AS u WHERE u.state <> 'owned' AND u.state IN ({states})) THEN NOT EXISTS (
  SELECT 1 FROM bucket_owner AS o WHERE o.state IN ({states}) AND o.bucket = {rows}.bucket
  AND (o.tenant = {rows}.tenant AND o.course = {rows}.course OR o.tenant = '' AND NOT EXISTS (
    SELECT 1 FROM bucket_owner AS p
    WHERE p.bucket = {rows}.bucket AND p.tenant = {rows}.tenant AND p.course = {rows}.course))) ELSE true END"""
_STATES = {"readable": "'arriving', 'gone'", "writable": "'arriving', 'gone', 'fenced'"}
_MACRO = re.compile(r"\{\{(readable|writable) (\w+)\}\}")
_BUCKET = re.compile(r"(?<![:\w]):bucket\b")
# What the function says, spelled out: for many sets at once, a function in PL/pgSQL would be called for each.
_HELD = """coalesce((
  SELECT o.state IN ('owned', 'fenced') AND o.epoch >= u.fence_epoch FROM bucket_owner AS o
  WHERE o.bucket = u.bucket AND (o.tenant = '' OR o.tenant = u.tenant AND o.course = u.course)
  ORDER BY o.tenant DESC LIMIT 1), false)"""
_FENCE_NAMES = {"bucket": "int4", "tenant": "text", "course": "text", "fence_epoch": "int8"}
_FENCE = "fence_read(:bucket, :tenant, :course, :fence_epoch)"
_NUMBER = re.compile(r"\$(\d+)")
# A colon that is neither part of a cast (`::text`) nor inside a word starts a parameter.
PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
"""Its first group is the name."""
_HEADER = re.compile(r"^-- (name|purpose|dialect|batch):\s*(.+?)\s*$")


class Positional(NamedTuple):
    """A statement with numbered parameters and the names that fill them, in order."""

    sql: str
    names: tuple[str, ...]

    def many(self, kinds: Sequence[str]) -> Positional:
        """The statement for many sets of parameters at once: each parameter is an array, one place for each set.

        `kinds` are the parameters' types, such as `int4`. The first column of the answer, `set_number`, counts the
        sets from 1.
        """
        sets = _sets("k", dict(zip(self.names, kinds, strict=True)))
        sql = f"SELECT k.set_number, q.* FROM {sets}, LATERAL ({self._of_set()}) AS q"  # noqa: S608 - named statements
        return Positional(sql, self.names)

    def many_fenced(self, kinds: Sequence[str], *, same_course: bool = False) -> Positional:
        """As `many`, for courses that the shard must own; takes `fence_epoch` too.

        The second column, `set_held`, says whether it does; where not, that is all that the set gets. Where every set
        is of the `same_course`, it is looked up once (10,000 sets on a quiet machine: 90 ms in place of 170).
        """
        types = {**dict(zip(self.names, kinds, strict=True)), **_FENCE_NAMES}
        # Kept apart by OFFSET 0, lest ownership is looked up anew wherever `set_held` stands.
        if same_course:
            numbers = {name: number for number, name in enumerate(types, 1)}
            first = ", ".join(f'(${numbers[name]}::{types[name]}[])[1] AS "{name}"' for name in _FENCE_NAMES)
            held = f"(SELECT {_HELD} AS set_held FROM (SELECT {first}) AS u OFFSET 0) AS h"  # noqa: S608 - named statements
            sets, owner = f"{held} CROSS JOIN {_sets('k', types)}", "h"
        else:
            sets, owner = f"(SELECT u.*, {_HELD} AS set_held FROM {_sets('u', types)} OFFSET 0) AS k", "k"  # noqa: S608 - as above
        sql = (
            f"SELECT k.set_number, {owner}.set_held, q.* FROM {sets}"  # noqa: S608 - from named statements
            f" LEFT JOIN LATERAL (SELECT true AS set_found, s.* FROM ({self._of_set()}) AS s) AS q ON {owner}.set_held"
            f" WHERE q.set_found OR NOT {owner}.set_held"
        )
        return Positional(sql, tuple(types))

    def _of_set(self) -> str:
        each = _NUMBER.sub(lambda match: f'k."{self.names[int(match[1]) - 1]}"', self.sql)
        # OFFSET 0 again: each set is looked up by the index, instead of a plan that reads the whole table once.
        return f"SELECT p.* FROM ({each}) AS p OFFSET 0"  # noqa: S608 - as above


def _sets(alias: str, kinds: Mapping[str, str]) -> str:
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds.values(), 1))
    columns = ", ".join(f'"{name}"' for name in kinds)
    return f"unnest({arrays}) WITH ORDINALITY AS {alias}({columns}, set_number)"


class Query:
    """One named statement, with a text for each dialect."""

    def __init__(self, name: str, purpose: str, texts: dict[str | None, str], *, batch: bool = False) -> None:
        self.name = name
        self.purpose = purpose
        self.batch = batch
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
        return frozenset(name for text in self._texts.values() for name in PARAMETER.findall(text))


def numbered(text: str, mark: str = "$") -> Positional:
    """A statement with `:name` parameters as one with numbers: `$1`, or `?1` for SQLite."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"{mark}{names.index(match[1]) + 1}"

    return Positional(PARAMETER.sub(number, text), tuple(names))


def parse_queries(text: str, source: str) -> dict[str, Query]:
    """Read the blocks of a `queries.sql`. Raises ValueError for a block without name or purpose, or a name twice."""
    texts: dict[str, dict[str | None, str]] = {}
    purposes: dict[str, str] = {}
    batches: set[str] = set()
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
        if "batch" in header:
            _check_batch(header["batch"], body, f"{source}: the query {name}")
            batches.add(name)
        texts[name][dialect] = body
        purposes[name] = header.get("purpose") or purposes.get(name, "")
        if not purposes[name]:
            message = f"{source}: the query {name} has no purpose"
            raise ValueError(message)
    return {name: Query(name, purposes[name], variants, batch=name in batches) for name, variants in texts.items()}


def _check_batch(value: str, body: str, which: str) -> None:
    if value != "yes" or not body.startswith("SELECT"):
        message = f"{which} says `batch: {value}`; it is `yes`, for a SELECT, or not there at all"
        raise ValueError(message)


def load_queries(package: str, filename: str = "queries.sql") -> dict[str, Query]:
    """Read the `queries.sql` of a package, such as `load_queries(__package__)`."""
    text = resources.files(package).joinpath(filename).read_text(encoding="utf-8")
    return parse_queries(text, f"{package}/{filename}")
