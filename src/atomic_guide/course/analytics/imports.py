"""Importing files of scores: any size in bounded memory, and from where it stopped after a crash.

A file is read piece by piece. Each piece's rows are stored together with a note of how far the file has come, in one
transaction, so that at whatever point the process dies the next run goes on with neither a lost nor a doubled row.
The note belongs to the file's content (its SHA-256) and the course: the same file under another name goes on, too.

The next piece is read while the last one is stored; no more than these two are in memory. The note is only written over
the one that was read, so that of two processes which import one file the second is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.course.analytics.columns import Mark, Read
from atomic_guide.course.analytics.scores import Rejected
from atomic_guide.course.analytics.sources import Chunk, FileForm, Source, open_source
from atomic_guide.course.analytics.store import QUERIES, Storing
from atomic_guide.course.notifications.feed import Posts, Silent
from atomic_guide.course.notifications.scores import ScoreNews
from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

REJECTED_KEPT = 100
"""Rejected rows whose reasons the note holds; the count covers all."""


class Progress(msgspec.Struct, frozen=True):
    """How far an import has come. `position` and `size` are bytes, or rows of a Parquet file."""

    name: str
    form: FileForm
    size: int
    position: int = 0
    line: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected_count: int = 0
    rejected: list[Rejected] = []
    started_at: float = 0.0
    updated_at: float = 0.0
    finished_at: float | None = None

    @property
    def mark(self) -> Mark:
        """Where the rest of the file begins."""
        return Mark(self.position, self.line)

    @property
    def rows(self) -> int:
        """Rows that are decided."""
        return self.accepted + self.duplicates + self.rejected_count

    def after(self, read: Read, mark: Mark, changed: int, now: float) -> Progress:
        """The progress once some rows are stored, of which so many are new or corrected."""
        return msgspec.structs.replace(
            self,
            position=mark.offset,
            line=mark.line,
            accepted=self.accepted + changed,
            duplicates=self.duplicates + read.columns.rows - changed,
            rejected_count=self.rejected_count + len(read.rejected),
            rejected=self.rejected + read.rejected[: max(0, REJECTED_KEPT - len(self.rejected))],
            updated_at=_later(now, self.updated_at),
        )


Watch = Callable[[Progress], None]
"""Told how far an import has come, after each piece."""


class Imports:
    """Imports files into courses."""

    def __init__(self, shards: Shards, clock: Clock, posts: Posts | None = None) -> None:
        self._shards = shards
        self._clock = clock
        self._posts = posts or Silent()

    async def run(self, key: CourseKey, path: Path, form: FileForm, watch: Watch, *, again: bool = False) -> Progress:
        """Import a file, or what is left of it; one that is finished is not read unless `again`.

        Raises `Invalid` where it cannot be read or changes meanwhile, `Conflict` where another process imports it.
        """
        stamp = _stamp(path)
        noted = _Note(key, await asyncio.to_thread(_fingerprint, path), form)
        known = await self._find(noted, path)
        if known is not None and known.finished_at is not None and not again:
            return known
        progress = known if known is not None and known.finished_at is None else self._begin(known, path, form)
        source = await asyncio.to_thread(open_source, path, form, self._clock.now(), progress.mark)
        try:
            progress = msgspec.structs.replace(progress, size=source.size)
            # What was stored before a crash has told already, under the same name.
            news = ScoreNews(self._posts, key, f"{noted.fingerprint} {form} {progress.started_at!r}")
            storing = _Storing(noted, Storing(self._shards.of(key), key, news), progress, known)
            await storing.store_all(source, self._clock, watch)
        finally:
            await asyncio.to_thread(source.close)
        if _stamp(path) != stamp:
            raise errors.Invalid(f"{path.name} was changed while it was read; give it again once it is complete")
        return await storing.finish(self._shards.of(key), self._clock.now())

    async def listed(self, limit: int) -> list[dict[str, Any]]:
        """The newest imports over all shards, as JSON."""
        found = [
            {"tenant": row["tenant"], "context": row["context"], "course": row["course"], **facts(_progress(row))}
            for shard in self._shards.all()
            for row in await shard.scan(QUERIES["list_imports"], {"limit": limit})
        ]
        return sorted(found, key=lambda one: str(one["updated_at"]), reverse=True)[:limit]

    async def _find(self, noted: _Note, path: Path) -> Progress | None:
        row = await self._shards.of(noted.key).one(QUERIES["read_import"], noted.params)
        return msgspec.structs.replace(_progress(row), name=path.name) if row else None

    def _begin(self, known: Progress | None, path: Path, form: FileForm) -> Progress:
        updated_at = known.updated_at if known else 0.0
        return Progress(path.name, form, path.stat().st_size, started_at=self._clock.now(), updated_at=updated_at)


class _Note(msgspec.Struct, frozen=True):
    """Which import a note is about."""

    key: CourseKey
    fingerprint: str
    form: FileForm

    @property
    def params(self) -> dict[str, Any]:
        return {**self.key.columns, "fingerprint": self.fingerprint, "form": self.form}

    async def write(self, tx: Transaction, progress: Progress, before: Progress | None) -> None:
        """Write a note over the one before it. Raises `Conflict` where that is not there any more."""
        fields = msgspec.structs.asdict(progress)
        fields["rejected"] = msgspec.json.encode(progress.rejected).decode()
        place = {"before": before.position if before else -1, "noted_at": before.updated_at if before else -1.0}
        if not await tx.execute(QUERIES["note_import"], {**self.params, **fields, **place}):
            raise errors.Conflict(f"another process is importing {progress.name} into this course; wait for its end")


class _Storing:
    """Stores the pieces of one file. `progress` is how far it has come, `noted` what the database says of that."""

    def __init__(self, note: _Note, storing: Storing, progress: Progress, noted: Progress | None) -> None:
        self._note = note
        self._storing = storing
        self._progress = progress
        self._noted = noted

    async def store_all(self, source: Source, clock: Clock, watch: Watch) -> None:
        """Read and store to the end of the file."""
        following = _begin_reading(source)
        try:
            # Shielded: the thread that reads cannot be stopped, and the file is closed only after it.
            while (chunk := await asyncio.shield(following)) is not None:
                following = _begin_reading(source)
                await self._store(chunk, clock.now())
                watch(self._progress)
        finally:
            await asyncio.gather(following, return_exceptions=True)

    async def finish(self, database: Database, now: float) -> Progress:
        """Note that the file is done with."""
        finished = msgspec.structs.replace(
            self._progress, finished_at=now, updated_at=_later(now, self._progress.updated_at)
        )
        await database.write(lambda tx: self._note.write(tx, finished, self._noted))
        return finished

    async def _store(self, chunk: Chunk, now: float) -> None:
        async def note(tx: Transaction, changed: int) -> None:
            await self._note.write(tx, self._progress.after(*chunk, changed, now), self._noted)

        stored = await self._storing.store(chunk.read.columns, now, note)
        self._progress = self._noted = self._progress.after(*chunk, stored.changed, now)


async def check_file(path: Path, form: FileForm, clock: Clock, watch: Watch) -> Progress:
    """Read and check a file without storing anything; what could be taken is counted as accepted."""
    source = await asyncio.to_thread(open_source, path, form, clock.now(), Mark())
    progress = Progress(path.name, form, source.size, started_at=clock.now())
    try:
        while (chunk := await asyncio.to_thread(source.next)) is not None:
            progress = progress.after(*chunk, chunk.read.columns.rows, clock.now())
            watch(progress)
    finally:
        await asyncio.to_thread(source.close)
    return progress


def facts(progress: Progress) -> dict[str, Any]:
    """An import as JSON."""
    found = msgspec.structs.asdict(progress)
    for name in ("started_at", "updated_at", "finished_at"):
        found[name] = iso(found[name]) if found[name] is not None else None
    return found


def _progress(row: Row) -> Progress:
    fields = {name: row[name] for name in Progress.__struct_fields__}
    return Progress(**{**fields, "rejected": msgspec.json.decode(row["rejected"], type=list[Rejected])})


def _begin_reading(source: Source) -> asyncio.Task[Chunk | None]:
    return asyncio.create_task(asyncio.to_thread(source.next))


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """What changes with a file's content."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _later(now: float, before: float) -> float:
    """A time after another, also where the clock stands still: each note differs from the one that it replaces."""
    return max(now, before + 1e-3)
