"""Removing everything of a person or a tenant from the databases and the store of one installation.

Every step may be repeated, and finds by itself what is left to do: what a crash interrupts is completed by beginning
again. Files go before the rows that lead to them. Rows go in batches, each a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.course.keeping.key import QUERIES, code_params
from atomic_guide.course.keeping.places import ERASED, KEY, TENANT_TABLES
from atomic_guide.course.keeping.survey import Whom, counts, courses_in, survey
from atomic_guide.course.video.space.account import forget_tenant
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.tables import delete_batch, shapes
from atomic_guide.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from atomic_guide.course.video.videos import Parts, Videos
    from atomic_guide.engines.data.database import Database, Transaction

BATCH = 500
"""Rows changed in one transaction: about 5 ms of a shard's writer, so that a room's messages wait no longer."""

_ROUNDS = 5
"""How often rows are looked for; what a request under way or a moving bucket brought is found the second time."""


_PERSON = (
    *("drop_member", "drop_answers", "drop_mute", "drop_posting_mark", "unname_moderators", "unname_moderated"),
    *(
        "unname_videos",
        "drop_notifications",
        "drop_contact",
        "drop_mentions",
        "empty_action_mentions",
        "drop_ended_mentions",
        "bump_gradebook",
    ),
    *("drop_progress", "drop_activity"),
)
"""What is done once for a person in a course, after what goes in batches."""


_JOBS_OF = ("drop_jobs_of", "drop_ended_jobs_of")


class Forgetter:
    """Forgets people and tenants; `spool` is the folder of unfinished uploads."""

    def __init__(self, parts: Parts, videos: Videos, spool: Path) -> None:
        self._shards = parts.shards
        self._store = parts.store
        self._clock = parts.clock
        self._account = parts.account
        self._videos = videos
        self._spool = spool
        self._spread = parts.spread
        self.stores: dict[str, str] = {}
        """What other stores said to the last erasure of a tenant."""

    async def found(self, whom: Whom) -> dict[str, int]:
        """What there is of somebody: rows by table, and the tenant's objects."""
        found = counts(await survey(self._shards, whom))
        directory = self._shards.directory
        codes = await code_params(directory, self._clock, whom.tenant, whom.user)
        holds = {"tenant": whom.tenant, "user": whom.user}
        for name, query, params in (("one_time_codes", "count_codes", codes),
                                    ("legal_holds", "count_lifted_holds", holds)):  # fmt: skip
            row = await directory.one(QUERIES[query], params)
            if row is not None and row["found"]:
                found[name] = row["found"]
        if logins := await self._logins(whom):
            found["lti_logins"] = len(logins)
        if not whom.user and (objects := await self._objects(whom.tenant)):
            found["objects"] = objects
        return found

    async def forget(self, whom: Whom) -> None:
        """Remove it all. Raises `Unavailable` where rows keep coming."""
        await self._forget_in_directory(whom)
        for _ in range(_ROUNDS):
            seen = await survey(self._shards, whom)
            if not seen:
                break
            for database, key in courses_in(seen):
                owner = self._shards.of(key)
                # What another shard has of the course is left over from a move; there is no owner to go through.
                place = owner if owner.name == database.name else database
                await (self._person(place, key, whom) if whom.user else self._course(place, key))
        else:
            raise Unavailable(f"rows of {whom.named()} keep coming; erase again when they do not", retry_after=60)
        if not whom.user:
            if self._spread is not None:
                self.stores = await self._spread.forget_tenant(whom.tenant)
            await self._store.delete_prefix(whom.tenant)
            await self._forget_tenant(whom.tenant)
            await forget_tenant(self._shards.directory, whom.tenant)

    async def end_what_was_open(self) -> int:
        """In a restored copy: end all sessions, codes and logins, and drop unfinished uploads; how many those were.

        A code that was used up after the backup would be good again, and the uploads' bytes are not in a backup.
        """
        dropped = 0
        for shard in self._shards.all():
            for row in await shard.scan(QUERIES["list_uploads"]):
                await self._drop_upload(shard, CourseKey(row["tenant"], row["course"], row["bucket"]), row["id"])
                dropped += 1

        async def work(tx: Transaction) -> None:
            for query in ("drop_all_codes", "drop_all_logins"):
                await tx.execute(QUERIES[query])

        await self._shards.directory.write(work)
        return dropped

    async def _person(self, database: Database, key: CourseKey, whom: Whom) -> None:
        params = {**key.columns, "user": whom.user, "mention": whom.mention, "now": self._clock.now(), "limit": BATCH}
        for row in await database.read(QUERIES["list_own_uploads"], params):
            await self._drop_upload(database, key, row["id"])
        if whom.videos:
            for row in await database.read(QUERIES["list_own_videos"], params):
                await self._drop_video(database, key, row["id"])
        while await database.write(_emptying(params)):
            pass
        await self._all(database, QUERIES["drop_scores"], params)
        await self._all(database, QUERIES["drop_events"], params)
        for query in _PERSON:
            await database.write(_executing(QUERIES[query], {**params, "erased": ERASED}))
        await self._unname_reads(database, params)

    async def _course(self, database: Database, key: CourseKey) -> None:
        params = {**key.columns, "limit": BATCH}
        await self._store.delete_prefix(f"{key.tenant}/{key.course}")
        for table in sorted(TENANT_TABLES, key=lambda name: name == "courses"):
            if table == "uploads":
                for row in await database.read(QUERIES["list_course_uploads"], params):
                    await self._drop_upload(database, key, row["id"])
            await self._all(database, delete_batch(shapes("shard")[table], KEY), params)
        # A worker may have been writing: its job is gone, and with it the right to write more.
        await self._store.delete_prefix(f"{key.tenant}/{key.course}")

    async def _drop_upload(self, database: Database, key: CourseKey, upload: str) -> None:
        (self._spool / upload).unlink(missing_ok=True)
        await self._account.let_go(key, upload)
        for query in ("drop_row_of_upload", *_JOBS_OF):
            await database.write(_executing(QUERIES[query], {**key.columns, "id": upload}))

    async def _drop_video(self, database: Database, key: CourseKey, video: str) -> None:
        try:
            await self._videos.delete(key, video)
        except NotFound:
            await self._account.let_go(key, video)
        for query in ("drop_row_of_video", *_JOBS_OF):
            await database.write(_executing(QUERIES[query], {**key.columns, "id": video}))

    async def _unname_reads(self, database: Database, params: dict[str, Any]) -> None:
        async def work(tx: Transaction) -> int:
            rows = await tx.read(QUERIES["read_own_reads"], params)
            for row in rows:
                entry = {**params, **{name: row[name] for name in ("at", "reader", "call", "subject", "reads")}}
                await tx.execute(QUERIES["drop_read"], entry)
                for name in ("reader", "subject"):
                    entry[name] = ERASED if entry[name] == params["user"] else entry[name]
                await tx.execute(QUERIES["note_read"], entry)
            return len(rows)

        while await database.write(work):
            pass

    async def _all(self, database: Database, query: Query, params: dict[str, Any]) -> None:
        """Run a statement that changes at most `limit` rows until it finds none."""
        while await database.write(_executing(query, params)):
            pass

    async def _logins(self, whom: Whom) -> list[int]:
        """The numbers of the logins that a person has begun, as far as their hint says so."""
        rows = await self._shards.directory.read(QUERIES["read_logins"], {"tenant": whom.tenant})
        hints = {row["number"]: msgspec.json.decode(row["request"]).get("login_hint") for row in rows}
        return [number for number, hint in hints.items() if hint == whom.user]

    async def _objects(self, tenant: str) -> int:
        return len(await self._store.names(tenant))

    async def _forget_in_directory(self, whom: Whom) -> None:
        logins = await self._logins(whom)
        codes = await code_params(self._shards.directory, self._clock, whom.tenant, whom.user)

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_codes"], codes)
            await tx.execute(QUERIES["drop_lifted_holds"], {"tenant": whom.tenant, "user": whom.user})
            for number in logins:
                await tx.execute(QUERIES["drop_login"], {"number": number})

        await self._shards.directory.write(work)

    async def _forget_tenant(self, tenant: str) -> None:
        async def work(tx: Transaction) -> None:
            row = await tx.one(QUERIES["find_deployment"], {"tenant": tenant})
            # Placement stays: a zone is a promise about the tenant, and a pinned course's shards know it as theirs.
            await tx.execute(QUERIES["drop_deployment_of"], {"tenant": tenant})
            if row is not None:
                await tx.execute(QUERIES["drop_lonely_platforms"], {"platform": row["platform"]})
                await tx.execute(QUERIES["count_change"])

        await self._shards.directory.write(work)


def _emptying(params: dict[str, Any]) -> Callable[[Transaction], Awaitable[int]]:
    async def work(tx: Transaction) -> int:
        # First: the tombstones bear the number of the change that they are.
        await tx.execute(QUERIES["count_room_change"], params)
        return await tx.execute(QUERIES["empty_messages"], params)

    return work


def _executing(query: Query, params: dict[str, Any]) -> Callable[[Transaction], Awaitable[int]]:
    async def work(tx: Transaction) -> int:
        return await tx.execute(query, params)

    return work
