"""The feed: entries are written in the transaction of what they are about, and told live after it.

A person's entries in a course are bounded: each transaction that adds one lets go of the oldest. Telling live is a
courtesy; a page that missed it reads the feed when its socket is back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.notifications.notice import Kind, Notice, Notification, read_notification
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.errors import Invalid

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.jobs import Queues

QUERIES = load_queries(__package__)

QUEUE = "notifications"
MAIL = "notification.mail"

_NEWEST = float(2**53)


class Posted(NamedTuple):
    """An entry that was added, and whose it is."""

    user: str
    entry: Notification


Tell = Callable[["CourseKey", str, dict[str, Any]], None]
"""Sends one person's sockets in a course a `notification` frame, on every process. Never raises."""


def untold(key: CourseKey, user: str, data: dict[str, Any]) -> None:
    """A `Tell` for programs without rooms."""
    del key, user, data


class Posts(Protocol):
    """What other parts of the course do with the feed."""

    async def add(self, tx: Transaction, key: CourseKey, notices: Sequence[Notice]) -> list[Posted]:
        """Add entries inside a unit of work; those that are new."""
        ...

    async def settle(self, tx: Transaction, key: CourseKey, kind: Kind, subject: str) -> None:
        """Inside a unit of work: what entries of a kind about a subject ask for is done."""
        ...

    async def withdraw(self, tx: Transaction, key: CourseKey, subject: str) -> None:
        """Inside a unit of work: the subject is gone, and with it what was said of it."""
        ...

    def tell(self, key: CourseKey, posted: Sequence[Posted]) -> None:
        """Tell entries live, once they are committed."""
        ...

    async def tell_stored(self, key: CourseKey, notices: Sequence[Notice]) -> None:
        """As `tell`, for who has only what the entries were made from."""
        ...


class Silent:
    """A feed for programs without one."""

    async def add(self, tx: Transaction, key: CourseKey, notices: Sequence[Notice]) -> list[Posted]:
        """Nothing is added."""
        del tx, key, notices
        return []

    async def settle(self, tx: Transaction, key: CourseKey, kind: Kind, subject: str) -> None:
        """Nothing is there."""

    async def withdraw(self, tx: Transaction, key: CourseKey, subject: str) -> None:
        """Nothing is there."""

    def tell(self, key: CourseKey, posted: Sequence[Posted]) -> None:
        """Nobody hears."""

    async def tell_stored(self, key: CourseKey, notices: Sequence[Notice]) -> None:
        """Nobody hears."""


class Page(NamedTuple):
    """A part of a person's feed, the newest first; `following` asks for the next one, None at the end."""

    entries: list[Notification]
    unread: int
    following: str | None


class Feed:
    """The feeds of every course. `tell` is how sockets are reached; it may be set once the rooms are there."""

    def __init__(
        self, shards: Shards, clock: Clock, queues: Queues, settings: NotificationSettings, mail: MailSettings
    ) -> None:
        self.on_tell: Tell = untold
        self._shards = shards
        self._clock = clock
        self._queues = queues
        self._settings = settings
        self._mail = mail

    async def add(self, tx: Transaction, key: CourseKey, notices: Sequence[Notice]) -> list[Posted]:
        """Add entries inside a unit of work, with the jobs that mail them; those that are new."""
        place, now = key.columns, self._clock.now()
        names = [{**place, "user": one.user, "id": one.id} for one in notices]
        known = await tx.read_each(QUERIES["find_notification"], names)
        new = [one for one, rows in zip(notices, known, strict=True) if not rows]
        if not new:
            return []
        rows = [
            {
                **place,
                "user": one.user,
                "id": one.id,
                "kind": one.kind,
                "subject": one.subject,
                "data": msgspec.json.encode(one.data).decode(),
                "now": now,
            }
            for one in new
        ]
        await tx.execute_many(QUERIES["add_notification"], rows)
        kept = [{**place, "user": one.user, "kept": self._settings.keep} for one in new]
        await tx.execute_many(QUERIES["prune_notifications"], kept)
        await self._publish_mails(tx, key, [one for one in new if one.mailed])
        return [Posted(one.user, Notification(one.id, one.kind, one.subject, one.data, iso(now), False)) for one in new]  # noqa: FBT003 - a field by its place

    async def settle(self, tx: Transaction, key: CourseKey, kind: Kind, subject: str) -> None:
        """Inside a unit of work: what entries of a kind about a subject ask for is done."""
        params = {**key.columns, "kind": kind, "subject": subject, "now": self._clock.now()}
        await tx.execute(QUERIES["settle_subject"], params)

    async def withdraw(self, tx: Transaction, key: CourseKey, subject: str) -> None:
        """Inside a unit of work: the subject is gone, and with it what was said of it."""
        await tx.execute(QUERIES["withdraw_subject"], {**key.columns, "subject": subject})

    def tell(self, key: CourseKey, posted: Sequence[Posted]) -> None:
        """Tell entries live, once they are committed."""
        for one in posted:
            self.on_tell(key, one.user, msgspec.to_builtins(one.entry))
        if posted and self._mail.on:
            self._queues.wake(QUEUE)

    async def tell_stored(self, key: CourseKey, notices: Sequence[Notice]) -> None:
        """As `tell`, for who has only what the entries were made from."""
        names = [{**key.columns, "user": one.user, "id": one.id} for one in notices]
        found = await self._shards.of(key).read_each(QUERIES["find_notification"], names)
        stored = zip(notices, found, strict=True)
        self.tell(key, [Posted(one.user, read_notification(rows[0])) for one, rows in stored if rows])

    async def page(self, key: CourseKey, user: str, following: str | None, limit: int) -> Page:
        """A page of a person's feed. Raises `Invalid` for no `following` of ours."""
        before, before_id = _place(following)
        database = self._shards.of(key)
        params = {**key.columns, "user": user, "before": before, "before_id": before_id, "limit": limit}
        rows = await database.read(QUERIES["read_feed"], params)
        last = rows[-1] if len(rows) == limit else None
        following = f"{last['created_at']!r}_{last['id']}" if last is not None else None
        return Page([read_notification(row) for row in rows], await self.unread(key, user), following)

    async def unread(self, key: CourseKey, user: str) -> int:
        """How many entries a person has not read."""
        row = await self._shards.of(key).one(QUERIES["count_unread"], {**key.columns, "user": user})
        return int(row["unread"]) if row else 0

    async def mark_read(self, key: CourseKey, user: str, ids: Sequence[str]) -> int:
        """A person has read entries; how many are left unread. Their other pages are told."""
        params = {**key.columns, "user": user, "now": self._clock.now()}
        rows = [{**params, "id": one} for one in ids]
        return await self._mark(key, user, rows, "mark_read")

    async def mark_read_until(self, key: CourseKey, user: str, last: str) -> int:
        """A person has read an entry and all before it; how many came since."""
        params = {**key.columns, "user": user, "now": self._clock.now(), "id": last}
        return await self._mark(key, user, [params], "mark_read_until")

    async def _mark(self, key: CourseKey, user: str, rows: list[dict[str, Any]], query: str) -> int:
        async def work(tx: Transaction) -> int:
            await tx.execute_many(QUERIES[query], rows)
            left = await tx.one(QUERIES["count_unread"], {**key.columns, "user": user})
            return int(left["unread"]) if left else 0

        unread = await self._shards.of(key).write(work)
        self.on_tell(key, user, {"unread": unread})
        return unread

    async def _publish_mails(self, tx: Transaction, key: CourseKey, notices: Sequence[Notice]) -> None:
        """One job for each person; of scores one at most waits for a person, however many imports come meanwhile."""
        if not self._mail.on or not notices:
            return
        who = [{**key.columns, "user": one.user} for one in notices]
        contacts = await tx.read_each(QUERIES["find_contact"], who)
        wanted = [
            _mail_job(one, self._mail.scores_delay_seconds)
            for one, rows in zip(notices, contacts, strict=True)
            if rows and rows[0]["address"] and rows[0]["off_at"] is None
        ]
        if wanted:
            await self._queues.publish_many(tx, key, wanted)


def _mail_job(notice: Notice, scores_delay: float) -> NewJob:
    scores = notice.kind == "scores.posted"
    return NewJob(
        queue=QUEUE,
        kind=MAIL,
        subject=notice.id,
        payload={"user": notice.user, "notification": notice.id},
        unique_key=f"mail {notice.user} {'scores' if scores else notice.id}",
        delay=scores_delay if scores else 0.0,
    )


def _place(following: str | None) -> tuple[float, str]:
    if following is None:
        return _NEWEST, ""
    at, _, identity = following.partition("_")
    try:
        return float(at), identity
    except ValueError as error:
        raise Invalid("after must be what an earlier page gave", details={"parameter": "after"}) from error
