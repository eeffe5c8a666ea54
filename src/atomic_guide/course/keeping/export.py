"""Everything that is kept about a person or a tenant, as files that a program and a person can read.

One NDJSON file for each table, all columns, times as ISO 8601 UTC, JSON as JSON; the files of lectures under their
names; a manifest. Rows are read in pages and written as they come, so that memory stays flat. Each row is taken from
the shard that owns its course. What only unlocks something (digests of codes, keys) is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.keeping.bundle import Bundle
from atomic_guide.course.keeping.key import QUERIES, code_params
from atomic_guide.course.keeping.places import KEY, MENTIONS, PEOPLE, TENANT_TABLES
from atomic_guide.course.keeping.survey import Whom, courses_in, survey
from atomic_guide.course.video.folders import media_prefix, prefix_of
from atomic_guide.engines.data.tables import Shape, read_page, shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.course.keeping.reads import Reads
    from atomic_guide.course.video.videos import Parts
    from atomic_guide.engines.data.database import Database, Row
    from atomic_guide.engines.data.placement import CourseKey

PAGE = 1000
"""Rows of a page; half a megabyte of ordinary messages."""

_TIMES = {"at", "checked_at", "created_at", "deleted_at", "expires_at", "finished_at", "lease_until", "lifted_at"} | {
    "placed_at", "ready_at", "roster_at", "run_after", "seen_at", "updated_at", "closed_at", "live_until", "mark",
    "until", "read_at", "off_at", "last_at", "position_at", "received_at"
}  # fmt: skip
_JSON = {
    "after",
    "answer",
    "before",
    "captions",
    "chapters",
    "data",
    "kept",
    "payload",
    "renditions",
    "request",
    "steps",
}
_HIDDEN = {"bookmark", "lease_owner", "token", "unique_key"}
"""Columns that are about the machinery, not about anybody."""


class Exporter:
    """Writes bundles; `spool` is the folder of unfinished uploads."""

    def __init__(self, parts: Parts, reads: Reads, spool: Path, tell: Callable[[str], None]) -> None:
        self._parts = parts
        self._shards = parts.shards
        self._store = parts.store
        self._reads = reads
        self._spool = spool
        self._tell = tell

    async def export(self, whom: Whom, bundle: Bundle) -> dict[str, int]:
        """Fill and finish a bundle; rows by file. The read is noted first, in every course that is read."""
        courses = await self._courses(whom)
        for key in courses:
            await self._reads.record(key, "operator", "export.person" if whom.user else "export.tenant", whom.user)
        tables = [place.table for place in PEOPLE] if whom.user else list(TENANT_TABLES)
        if whom.user:
            await self._table(bundle, "courses", [(key, KEY) for key in courses], whom)
        for table in tables:
            filters = [(*KEY, column) for column in _people_of(table)] if whom.user else [KEY]
            await self._table(bundle, table, [(key, chosen) for key in courses for chosen in filters], whom)
        if whom.user:
            await self._mentions(bundle, courses, whom)
        await self._directory(bundle, whom)
        for key in courses:
            await self._files(bundle, key, whom)
        about = {"tenant": whom.tenant, **({"user": whom.user} if whom.user else {})}
        made_at = iso(self._parts.clock.now())
        bundle.finish({**about, "made_at": made_at, "courses": [key.course for key in courses]})
        return {file.name: file.rows for file in bundle.files if file.rows is not None}

    async def _courses(self, whom: Whom) -> list[CourseKey]:
        found = courses_in(await survey(self._shards, whom))
        owned = {key for database, key in found if self._shards.of(key).name == database.name}
        return sorted(owned)

    async def _table(
        self, bundle: Bundle, table: str, parts: list[tuple[CourseKey, tuple[str, ...]]], whom: Whom
    ) -> None:
        shape = shapes("shard")[table]
        with bundle.file(f"{table}.ndjson") as writer:
            for key, filters in parts:
                params = {**key.columns, filters[-1]: whom.user} if filters != KEY else key.columns
                async for row in _pages(self._shards.of(key), shape, filters, params):
                    writer.row(_readable(row))
        self._tell(f"wrote {table}")

    async def _mentions(self, bundle: Bundle, courses: list[CourseKey], whom: Whom) -> None:
        for table, query in MENTIONS.items():
            with bundle.file(f"{table}.ndjson") as writer:
                for key in courses:
                    params = {**key.columns, "user": whom.user, "mention": whom.mention}
                    for row in await self._shards.of(key).scan(QUERIES[f"read_{query}"], params):
                        writer.row({"course": key.course, **_readable(row)})

    async def _directory(self, bundle: Bundle, whom: Whom) -> None:
        directory = self._shards.directory
        params = await code_params(directory, self._parts.clock, whom.tenant, whom.user)
        with bundle.file("sessions.ndjson") as writer:
            for row in await directory.read(QUERIES["read_codes"], params):
                writer.row(_readable(row))
        with bundle.file("logins.ndjson") as writer:
            for row in await directory.read(QUERIES["read_logins"], {"tenant": whom.tenant}):
                if not whom.user or msgspec.json.decode(row["request"]).get("login_hint") == whom.user:
                    writer.row(_readable(row))
        with bundle.file("legal_holds.ndjson") as writer:
            for row in await directory.read(QUERIES["read_holds"]):
                if row["tenant"] == whom.tenant and whom.user in {"", row["person"]}:
                    writer.row(_readable(row))
        if not whom.user:
            with bundle.file("deployment.ndjson") as writer:
                for row in await directory.read(QUERIES["find_deployment"], {"tenant": whom.tenant}):
                    writer.row(_readable(row))

    async def _files(self, bundle: Bundle, key: CourseKey, whom: Whom) -> None:
        """The objects of a person's lectures, or of the whole course, and the bytes of unfinished uploads."""
        database = self._shards.of(key)
        params = {**key.columns, "user": whom.user}
        if whom.user:
            videos = await database.read(QUERIES["list_own_videos"], params)
            # A copied lecture has its captions to itself, and the rest in another's folder.
            folders = [(prefix_of(key, row["id"]), media_prefix(key, row["id"], row["origin"])) for row in videos]
            prefixes = [prefix for pair in folders for prefix in dict.fromkeys(pair)]
            uploads = await database.read(QUERIES["list_own_uploads"], params)
            prefixes += [prefix_of(key, row["id"]) for row in uploads]
        else:
            prefixes = [f"{key.tenant}/{key.course}"]
            uploads = await database.read(QUERIES["list_course_uploads"], key.columns)
        for prefix in prefixes:
            for name, size in sorted((await self._store.names(prefix)).items()):
                with bundle.file(f"files/{name.partition('/')[2]}") as writer:
                    async for chunk in self._store.stream(name, 0, size):
                        writer.write(chunk)
                self._tell(f"wrote {name}")
        for row in uploads:
            if (path := self._spool / row["id"]).is_file():
                with bundle.file(f"files/{key.course}/unfinished/{row['id']}") as writer:
                    for chunk in _chunks(path):
                        writer.write(chunk)


async def _pages(
    database: Database, shape: Shape, filters: tuple[str, ...], params: dict[str, Any]
) -> AsyncIterator[Row]:
    """Every row that the filters choose, in order of the key."""
    after: dict[str, Any] = {}
    while True:
        query = read_page(shape, filters, first=not after)
        rows = await database.scan(query, {**params, **after, "limit": PAGE})
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = {f"after_{name}": rows[-1][name] for name in shape.key}


def _people_of(table: str) -> tuple[str, ...]:
    return next(place.people for place in PEOPLE if place.table == table)


def _readable(row: Row) -> dict[str, Any]:
    """A row for people and programs; times of 0 mean never and become null."""
    shown = {}
    for name in row.keys():  # noqa: SIM118 - a row of SQLite iterates over its values
        value = row[name]
        if name in _HIDDEN:
            continue
        if name in _TIMES and value is not None:
            value = iso(value) if value else None
        elif name in _JSON and isinstance(value, str) and value:
            value = msgspec.json.decode(value)
        shown[name] = value
    return shown


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            yield chunk
