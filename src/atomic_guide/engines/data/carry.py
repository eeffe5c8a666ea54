"""Carrying everything from one set of databases to another, of whichever engine: a laptop's files to servers.

A bucket is carried at a time, each course to the shard that the target's map gives it, and is compared afterwards:
count and hash of each table's rows on both sides. Which buckets are done is noted in the target's directory, so that a
carrying that was interrupted goes on; the bucket that was under way is removed there and carried again.

Nobody may write to either side meanwhile; whoever calls sees to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.tables import (
    Shape,
    any_row,
    buckets_of,
    clear,
    delete_batch,
    read_all,
    read_page,
    shapes,
)
from atomic_guide.errors import Conflict, DataUnavailable

PAGE = 5000
"""Rows carried in one transaction: a few megabytes, and about 50 ms of a PostgreSQL COPY."""

_MASK = (1 << 128) - 1


class Content(NamedTuple):
    """What is carried: the tables of the shards, and those of the directory."""

    shard: tuple[str, ...]
    directory: tuple[str, ...]


class Journal(msgspec.Struct):
    """How far a carrying has come: from which source, and up to which bucket all are done and compared."""

    source: str
    done: int = -1


class Carried(msgspec.Struct, frozen=True):
    """What was carried: rows by table, over all buckets; `resumed` where an earlier call had begun."""

    rows: dict[str, int]
    buckets: int
    resumed: bool


class Sum(NamedTuple):
    """Count and hash of rows, whatever their order."""

    rows: int = 0
    digest: int = 0

    def with_rows(self, rows: Sequence[tuple[Any, ...]]) -> Sum:
        """The same with more rows."""
        digest = self.digest
        for row in rows:
            digest += int.from_bytes(hashlib.blake2b(msgspec.json.encode(row), digest_size=16).digest())
        return Sum(self.rows + len(rows), digest & _MASK)


class Carrier:
    """Carries `content` from `source` to `target`; `name` tells the source from others when it is resumed."""

    def __init__(
        self, source: Shards, target: Shards, content: Content, name: str, tell: Callable[[str], None]
    ) -> None:
        self._source = source
        self._target = target
        self._content = content
        self._name = name
        self._tell = tell

    async def preview(self) -> Carried:
        """What would be carried. Raises `Conflict` where the target is neither empty nor a carrying under way."""
        await self._source.open_all()
        journal = await self._begun()
        found = await self._counted()
        return Carried(self._rows(found), len(found), resumed=journal is not None)

    async def carry(self) -> Carried:
        """Carry everything; what is there already is passed over. Raises `Conflict` as above, `DataUnavailable`."""
        await self._source.open_all()
        begun = await self._begun()
        journal = begun or Journal(self._name)
        await self._note(journal)
        found = await self._counted()
        interrupted = begun is not None
        for number, bucket in enumerate(sorted(found), 1):
            if bucket <= journal.done:
                continue
            if interrupted:
                # What the last call had under way is in the first bucket that it has not noted as done.
                await self._remove(bucket)
                interrupted = False
            for table in found[bucket]:
                await self._table(bucket, shapes("shard")[table])
            journal.done = bucket
            await self._note(journal)
            self._tell(f"{number} of {len(found)} buckets")
        await self._directory()
        return Carried(self._rows(found), len(found), resumed=begun is not None)

    async def _begun(self) -> Journal | None:
        row = await self._target.directory.one(QUERIES["read_carrying"])
        if row is not None:
            journal = msgspec.json.decode(row["value"], type=Journal)
            if journal.source != self._name:
                raise Conflict("the target holds half of another installation; use empty databases")
            return journal
        for shard in self._target.all():
            for table in self._content.shard:
                await self._check_empty(shard, shapes("shard")[table])
        for table in self._content.directory:
            if table != "secrets":
                await self._check_empty(self._target.directory, shapes("directory")[table])
        return None

    async def _check_empty(self, database: Database, shape: Shape) -> None:
        if await database.one(any_row(shape)) is not None:
            raise Conflict(
                f"{database.name} is not empty: its table {shape.name} has rows; carry into databases that"
                " `atomic-guide migrate` has just made"
            )

    async def _counted(self) -> dict[int, dict[str, int]]:
        """Rows by bucket and table."""
        found: dict[int, dict[str, int]] = {}
        for shard in self._source.all():
            for table in self._content.shard:
                for row in await shard.scan(buckets_of(shapes("shard")[table])):
                    tables = found.setdefault(row["bucket"], {})
                    tables[table] = tables.get(table, 0) + row["found"]
        return found

    def _rows(self, found: dict[int, dict[str, int]]) -> dict[str, int]:
        return {table: sum(tables.get(table, 0) for tables in found.values()) for table in self._content.shard}

    async def _table(self, bucket: int, shape: Shape) -> None:
        """Carry the rows that a table has of a bucket, and compare them."""
        sent = arrived = Sum()
        for shard in self._source.all():
            async for page in _pages(shard, shape, bucket):
                own = [row for row in page if self._source.of(_key(row)).name == shard.name]
                sent = sent.with_rows([shape.values(row) for row in own])
                await self._write(shape, own)
        for shard in self._target.all():
            async for page in _pages(shard, shape, bucket):
                arrived = arrived.with_rows([shape.values(row) for row in page])
        if sent != arrived:
            raise DataUnavailable(
                f"table {shape.name} of bucket {bucket} arrived with {arrived.rows} of {sent.rows} rows, or others;"
                " nothing may write meanwhile; give the command again"
            )

    async def _write(self, shape: Shape, rows: list[Row]) -> None:
        """Append rows to the shards of their courses, one transaction for each shard."""
        for together in self._target.grouped(sorted({_key(row) for row in rows})):
            values = [shape.values(row) for row in rows if _key(row) in together.keys]

            async def work(tx: Transaction, values: list[tuple[Any, ...]] = values) -> None:
                await tx.copy_rows(shape.name, shape.columns, values)

            await together.write(work)

    async def _remove(self, bucket: int) -> None:
        for table in self._content.shard:
            for shard in self._target.all():
                await _remove(shard, shapes("shard")[table], bucket)

    async def _directory(self) -> None:
        """Carry the directory in one transaction, and with it end the carrying."""
        tables = [shapes("directory")[name] for name in self._content.directory]
        held = {shape: await self._source.directory.scan(read_all(shape)) for shape in tables}

        async def work(tx: Transaction) -> None:
            for shape, rows in held.items():
                await tx.execute(clear(shape))
                await tx.copy_rows(shape.name, shape.columns, [shape.values(row) for row in rows])
            await tx.execute(QUERIES["drop_carrying"])

        await self._target.directory.write(work)

    async def _note(self, journal: Journal) -> None:
        value = msgspec.json.encode(journal).decode()

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["note_carrying"], {"value": value})

        await self._target.directory.write(work)


async def _pages(database: Database, shape: Shape, bucket: int) -> AsyncIterator[list[Row]]:
    after: dict[str, Any] = {}
    while True:
        params = {"bucket": bucket, **after, "limit": PAGE}
        page = await database.scan(read_page(shape, ("bucket",), first=not after), params)
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = {f"after_{name}": page[-1][name] for name in shape.key}


async def _remove(database: Database, shape: Shape, bucket: int) -> None:
    async def work(tx: Transaction) -> int:
        return await tx.execute(delete_batch(shape, ("bucket",)), {"bucket": bucket, "limit": PAGE})

    while await database.write(work):
        pass


def _key(row: Row) -> CourseKey:
    return CourseKey(row["tenant"], row["course"], row["bucket"])
