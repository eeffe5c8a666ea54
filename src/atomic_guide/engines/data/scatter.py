"""One read over many shards: some at a time, each for a limited time, and an answer that says what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from atomic_guide import errors
from atomic_guide.engines.data.database import Database, Params, Row
from atomic_guide.engines.data.queries import Query

AT_ONCE = 8
"""Shards that are asked at a time: each takes one of the few connections to its server, and memory for its rows."""

SECONDS = 5.0
"""How long a shard may take: a person waits for the answer, also where one of the shards is away."""

MOST_ROWS = 100_000
"""Rows that an answer holds at most, over all shards."""


class Gathered(NamedTuple):
    """A row, and the shard that it is from."""

    shard: str
    row: Row


class Scattered(NamedTuple):
    """The rows of the shards that answered, in the order of the shards; why the others' are missing, by shard."""

    rows: list[Gathered]
    missing: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether every shard has answered, and all of its rows are here."""
        return not self.missing


async def scatter(
    databases: Sequence[Database],
    query: Query,
    params: Params | None = None,
    *,
    limit: int = MOST_ROWS,
    timeout: float = SECONDS,
    short: bool = False,
) -> Scattered:
    """Run a read on every database, each `timeout` seconds at most; keep `limit` rows, those of the first shards.

    `short` reads take milliseconds, the others may be long scans. A shard that is away or slow is told of in
    `missing`. Raises what is no fault of a shard's, such as `Invalid` for a parameter. Shards are not asked at the very
    same moment: a bucket that changes its shard meanwhile may be in the answers of both or of neither.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(database: Database) -> list[Row] | str:
        async with places:
            try:
                async with asyncio.timeout(timeout):
                    return await (database.read if short else database.scan)(query, params)
            except errors.Unavailable as error:
                return error.message
            except TimeoutError:
                return f"database {database.name} did not answer within {timeout:g} s"

    answers = await asyncio.gather(*(ask(database) for database in databases))
    rows: list[Gathered] = []
    missing: dict[str, str] = {}
    for database, answer in zip(databases, answers, strict=True):
        if isinstance(answer, str):
            missing[database.name] = answer
            continue
        left = limit - len(rows)
        if len(answer) > left:
            missing[database.name] = f"{len(answer) - left:,} of its rows are left out, beyond {limit:,} in all"
        rows += [Gathered(database.name, row) for row in answer[:left]]
    return Scattered(rows, missing)
