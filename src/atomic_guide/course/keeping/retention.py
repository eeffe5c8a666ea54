"""Letting go of what is older than the settings say, a little at a time, and never of what is under legal hold.

A course is looked at once a day. What is old goes in batches; a turn ends after so many, and the next one goes on
where it ended. Messages become tombstones, because their numbers must stay dense; everything else is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.keeping.key import QUERIES
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.course.keeping.holds import Hold, Holds
    from atomic_guide.course.keeping.settings import KeepingSettings
    from atomic_guide.course.video.videos import Parts, Videos
    from atomic_guide.engines.data.database import Database, Transaction

BATCH = 500
"""Rows of one transaction, as in an erasure."""

TURN = 40
"""Transactions of one turn over all courses: 20,000 rows, and well under a minute of a busy shard."""

COURSES = 200
"""Courses that one turn looks at; 28,800 a day in each shard."""

_DAY = 86400.0


class Released(NamedTuple):
    """How many rows a turn let go."""

    messages: int = 0
    scores: int = 0
    videos: int = 0
    others: int = 0


Changed = Callable[[CourseKey, int], None]
"""Tells the processes that a course's room has come to a revision; they read there what it is."""


class Retention:
    """Applies the settings to an installation. `changed` is called for each batch of messages, after its commit."""

    def __init__(self, parts: Parts, videos: Videos, holds: Holds, settings: KeepingSettings, changed: Changed) -> None:
        self._shards = parts.shards
        self._clock = parts.clock
        self._videos = videos
        self._holds = holds
        self._settings = settings
        self._changed = changed
        self._left = 0

    async def turn(self) -> Released:
        """Let go of some of what is old; for a root task, every few minutes."""
        self._left = TURN
        total = Released()
        for shard in self._shards.all():
            await self._release(shard)
            params = {"before": self._clock.now() - _DAY, "limit": COURSES}
            for row in await shard.scan(QUERIES["courses_to_look_at"], params):
                if self._left <= 0:
                    return total
                done = await self._course(CourseKey(row["tenant"], row["course"], row["bucket"]))
                total = Released(*(one + other for one, other in zip(total, done, strict=True)))
        return total

    async def _course(self, key: CourseKey) -> Released:
        holds = [hold for hold in await self._holds.of(key.tenant) if not hold.course or hold.course == key.course]
        database, done = self._shards.of(key), Released()
        if not any(hold.covers(key.course, "") for hold in holds):
            done = Released(
                await self._messages(database, key, holds),
                await self._scores(database, key, holds),
                await self._old_videos(database, key, holds),
                await self._others(database, key, holds),
            )
        await self._write(database, "drop_spent_marks", key, [{}])
        if self._left > 0:
            await self._note(database, key)
        return done

    async def _messages(self, database: Database, key: CourseKey, holds: Sequence[Hold]) -> int:
        if not self._settings.messages_days:
            return 0
        before, total = self._before(self._settings.messages_days), 0
        mark = 0
        while self._left > 0:
            params = {**key.columns, "before": before, "after": mark, "limit": BATCH}
            rows = await database.read(QUERIES["old_messages"], params)
            if not rows:
                break
            mark = rows[-1]["seq"]
            total += await self._empty(
                database, key, [row["seq"] for row in rows if not _held(holds, key, row["author"])]
            )
        return total

    async def _empty(self, database: Database, key: CourseKey, seqs: list[int]) -> int:
        """Turn messages into tombstones: one change of the room."""
        now, revision = self._clock.now(), 0
        self._left -= 1

        async def work(tx: Transaction) -> int:
            nonlocal revision
            await tx.execute(QUERIES["count_room_change"], key.columns)
            changed = 0
            for seq in seqs:
                changed += await tx.execute(QUERIES["empty_message"], {**key.columns, "seq": seq, "now": now})
            row = await tx.one(QUERIES["read_room_revision"], key.columns)
            revision = row["room_revision"] if row is not None else 0
            return changed

        if not seqs:
            return 0
        changed = await database.write(work)
        self._changed(key, revision)
        return changed

    async def _release(self, shard: Database) -> None:
        """Let go of what deleted messages said, where it was kept for a hold that is lifted.

        Each of them has a revision of its own: they were deleted one by one.
        """
        mark: dict[str, object] = {"bucket": -1, "tenant": "", "course": "", "revision": 0}
        while self._left > 0:
            rows = await shard.scan(QUERIES["deleted_with_content"], {**mark, "limit": BATCH})
            if not rows:
                return
            mark = {name: rows[-1][name] for name in mark}
            holds = {tenant: await self._holds.of(tenant) for tenant in {row["tenant"] for row in rows}}
            courses: dict[CourseKey, list[dict[str, object]]] = {}
            for row in rows:
                key = CourseKey(row["tenant"], row["course"], row["bucket"])
                if not _held(holds[key.tenant], key, row["author"]):
                    courses.setdefault(key, []).append({"seq": row["seq"]})
            for key, seqs in courses.items():
                await self._write(self._shards.of(key), "empty_content", key, seqs)

    async def _scores(self, database: Database, key: CourseKey, holds: Sequence[Hold]) -> int:
        if not self._settings.scores_days:
            return 0
        before, total = self._before(self._settings.scores_days), 0
        after: dict[str, object] = {"after_user": "", "after_activity": "", "after_at": -1.0, "after_id": ""}
        while self._left > 0:
            rows = await database.read(
                QUERIES["old_scores"], {**key.columns, **after, "before": before, "limit": BATCH}
            )
            if not rows:
                break
            last = rows[-1]
            after = {f"after_{name}": last[name] for name in ("user", "activity", "at", "id")}
            free = [row for row in rows if not _held(holds, key, row["user"])]
            names = [{name: row[name] for name in ("user", "activity", "at", "id")} for row in free]
            total += await self._write(database, "drop_score", key, names, count="bump_gradebook")
        return total

    async def _old_videos(self, database: Database, key: CourseKey, holds: Sequence[Hold]) -> int:
        if not self._settings.videos_days:
            return 0
        params = {**key.columns, "before": self._before(self._settings.videos_days), "limit": BATCH}
        total = 0
        for row in await database.read(QUERIES["old_videos"], params):
            if self._left > 0 and not _held(holds, key, row["uploader"]):
                self._left -= 1
                try:
                    await self._videos.delete(key, row["id"])
                except NotFound:
                    continue
                total += 1
        return total

    async def _others(self, database: Database, key: CourseKey, holds: Sequence[Hold]) -> int:
        """Dead letters and log entries; where a person of the tenant is held they stay, as they may name them."""
        if holds:
            return 0
        total = 0
        for days, query in (
            (self._settings.dead_letters_days, "drop_old_dead"),
            (self._settings.reads_days, "drop_old_reads"),
            (self._settings.moderation_days, "drop_old_moderation"),
            (self._settings.notifications_days, "drop_old_notifications"),
            (self._settings.dropped_letters_days, "forget_dropped"),
            (self._settings.actions_days, "drop_old_actions"),
            (self._settings.watching_days, "drop_old_progress"),
            (self._settings.watching_days, "drop_old_activity"),
        ):
            if days and self._left > 0:
                total += await self._write(database, query, key, [{"before": self._before(days)}])
        for query in ("drop_lost_figures", "drop_lost_curves", "drop_lost_progress"):
            if self._left > 0:
                total += await self._write(database, query, key, [{}])
        return total

    async def _write(
        self, database: Database, query: str, key: CourseKey, rows: list[dict[str, object]], *, count: str = ""
    ) -> int:
        """Run a statement for each row; before that the one that counts the change, where there is one."""
        self._left -= 1
        now = self._clock.now()

        async def work(tx: Transaction) -> int:
            if count:
                await tx.execute(QUERIES[count], {**key.columns, "now": now})
            changed = 0
            for row in rows:
                changed += await tx.execute(QUERIES[query], {**key.columns, **row, "now": now})
            return changed

        return await database.write(work) if rows else 0

    async def _note(self, database: Database, key: CourseKey) -> None:
        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["note_retention"], {**key.columns, "now": self._clock.now()})

        await database.write(work)

    def _before(self, days: int) -> float:
        return self._clock.now() - days * _DAY


def _held(holds: Sequence[Hold], key: CourseKey, person: str) -> bool:
    return any(hold.covers(key.course, person) for hold in holds)
