"""Telling students of scores that came in: each once for a transfer, whatever number of rows it has.

A transfer tells only learners who have been here, and only of rows that are new or correct what was stored; so a
gradebook that is sent again with one change tells one student. What it costs is bounded by the learners of the
course: people who were looked at are not looked at again, and a course without learners costs one read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from atomic_guide.course.notifications.feed import QUERIES, Posted, Posts
from atomic_guide.course.notifications.notice import scores_posted

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey

Attempt = tuple[str, str, float, str, float, float]
"""User, activity, time, id, score and maximum of a row."""

_REMEMBERED = 100_000
"""People of a transfer who need no second look, kept in memory: some 10 MB."""


class ScoreNews:
    """The news of one transfer into one course. `activities` say what each student's rows are of, where it is one."""

    def __init__(
        self, posts: Posts, key: CourseKey, transfer: str, activities: Mapping[str, str] | None = None
    ) -> None:
        self._posts = posts
        self._key = key
        self._transfer = transfer
        self._activities = activities or {}
        self._done: set[str] = set()
        self._nobody = False

    async def find(self, tx: Transaction, attempts: Iterable[Attempt], *, all_new: bool) -> News:
        """Inside a unit of work, before a batch is stored: who has something new in it."""
        news = News(people=[], seen=set(), nobody=self._nobody)
        if self._nobody:
            return news
        rows = [row for row in attempts if row[0] not in self._done]
        if not self._done and await tx.one(QUERIES["any_learner"], self._key.columns) is None:
            news.nobody = True
            return news
        people = list(dict.fromkeys(row[0] for row in rows))
        found = await tx.read_each(QUERIES["find_learner"], [{**self._key.columns, "user": one} for one in people])
        learners = {one for one, here in zip(people, found, strict=True) if here}
        told = learners if all_new else await self._changed(tx, [row for row in rows if row[0] in learners])
        news.people = [one for one in people if one in told]
        # A learner without news in this batch may have some in the next.
        news.seen = set(people) - learners | told
        return news

    async def add(self, tx: Transaction, news: News) -> list[Posted]:
        """Inside the same unit of work: tell them."""
        notices = [scores_posted(one, self._transfer, self._activities.get(one)) for one in news.people]
        return await self._posts.add(tx, self._key, notices) if notices else []

    def committed(self, news: News, posted: list[Posted]) -> None:
        """The unit of work is on disk."""
        self._nobody = news.nobody
        if len(self._done) < _REMEMBERED:
            self._done |= news.seen
        self._posts.tell(self._key, posted)

    async def _changed(self, tx: Transaction, rows: list[Attempt]) -> set[str]:
        """Whose rows are not stored just so."""
        changed: set[str] = set()
        for query, part in (
            ("same_score", [row for row in rows if not row[3]]),
            ("same_identified_score", [row for row in rows if row[3]]),
        ):
            given: list[dict[str, Any]] = [
                {
                    **self._key.columns,
                    **({"id": row[3]} if row[3] else _fields(row)),
                }
                for row in part
            ]
            same = await tx.read_each(QUERIES[query], given) if given else []
            changed |= {row[0] for row, stored in zip(part, same, strict=True) if not stored}
        return changed


class News:
    """Who of a batch is to be told; `seen` need not be looked at again, `nobody`: the course has no learners."""

    __slots__ = ("nobody", "people", "seen")

    def __init__(self, people: list[str], seen: set[str], *, nobody: bool) -> None:
        self.people = people
        self.seen = seen
        self.nobody = nobody


def _fields(row: Attempt) -> dict[str, Any]:
    return {"user": row[0], "activity": row[1], "at": row[2], "score": row[4], "maximum": row[5]}
