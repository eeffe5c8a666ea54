"""Telling students of scores that came in: each once for a transfer, whatever number of rows it has.

A transfer tells only learners who have been here, and only of rows that are new or correct what was stored; so a
gradebook that is sent again with one change tells one student. What it costs is bounded by the learners of the
course: people who were looked at are not looked at again, and a course without learners costs one read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from atomic_guide.course.notifications.feed import QUERIES, Posted, Posts
from atomic_guide.course.notifications.notice import scores_posted

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey

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

    async def find(self, tx: Transaction, users: Sequence[str]) -> News:
        """Inside a unit of work: who of a batch may be told, if something is new for them."""
        if self._nobody or (not self._done and await tx.one(QUERIES["any_learner"], self._key.columns) is None):
            return News(learners=set(), seen=set(), nobody=True)
        people = list(dict.fromkeys(user for user in users if user not in self._done))
        found = await tx.read_each(QUERIES["find_learner"], [{**self._key.columns, "user": one} for one in people])
        learners = {one for one, here in zip(people, found, strict=True) if here}
        return News(learners, seen=set(people) - learners, nobody=False)

    async def add(self, tx: Transaction, news: News, changed: Iterable[str]) -> list[Posted]:
        """Inside the same unit of work: tell those for whom something has changed."""
        told = sorted(news.learners.intersection(changed))
        # A learner without news in this batch may have some in the next.
        news.seen |= set(told)
        notices = [scores_posted(one, self._transfer, self._activities.get(one)) for one in told]
        return await self._posts.add(tx, self._key, notices) if notices else []

    def committed(self, news: News, posted: list[Posted]) -> None:
        """The unit of work is on disk."""
        self._nobody = news.nobody
        if len(self._done) < _REMEMBERED:
            self._done |= news.seen
        self._posts.tell(self._key, posted)


class News:
    """Learners of a batch who may be told; `seen` need not be looked at again, `nobody`: the course has no learners."""

    __slots__ = ("learners", "nobody", "seen")

    def __init__(self, learners: set[str], seen: set[str], *, nobody: bool) -> None:
        self.learners = learners
        self.seen = seen
        self.nobody = nobody
