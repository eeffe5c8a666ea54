"""Storing scores: whole batches by column, each one durable unit of work, however often it is sent.

A batch goes in one of two ways. *Appended*, its rows are streamed into the table (COPY, on PostgreSQL), which refuses
them all where one is there already. *Merged*, they are laid over what is stored by one statement, at three times the
cost. New sheets hold rows that nobody has sent, so a large batch is appended first; where that is refused it is
merged, and so are some of those after it. Both end in the same rows and the same counts.

Counts are exact: each row is new, corrects what is stored, or is a duplicate, as if it had come alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np

from atomic_guide import errors
from atomic_guide.course.analytics.columns import Columns
from atomic_guide.course.notifications.feed import Posted
from atomic_guide.course.notifications.scores import News, ScoreNews
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query, load_queries

QUERIES = load_queries(__package__)

Note = Callable[[Transaction, int], Awaitable[None]]
"""What else is written with a batch, given how many of its rows were new or corrected; part of the unit of work."""

_LEAST_APPENDED = 200
"""Rows of a batch that is appended first; below that the second try costs more than appending saves."""

_MOST_PASSED_OVER = 64
"""Batches that are merged at once after refusals, before appending is tried again: the tries are then 2% of them."""

# The same statements, for who has to know whose scores they changed.
_TELLING = {
    name: Query(
        name,
        QUERIES[name].purpose,
        {kind: f'{QUERIES[name].text(kind)}\nRETURNING "user"' for kind in ("sqlite", "postgresql")},
    )
    for name in ("add_scores", "add_identified_scores")
}

_COLUMNS = ("bucket", "tenant", "course", "user", "activity", "at", "id", "score", "maximum")


class Stored(NamedTuple):
    """A batch that is on disk: rows that were new or corrected, and the gradebook's version, None where none was."""

    changed: int
    version: int | None
    told: tuple[News, list[Posted]] | None = None


class Storing:
    """Stores the batches of one course, one after the other; `news` tells the students of theirs."""

    def __init__(self, database: Database, key: CourseKey, news: ScoreNews | None = None) -> None:
        self._database = database
        self._news = news
        self.key = key
        self._merges = 0
        self._pass_over = 1

    async def store(self, columns: Columns, now: float, note: Note | None = None) -> Stored:
        """Store a batch with its note and its news, all or nothing."""
        stored = await self._store(_Batch(self.key, columns, now, note, self._news))
        if self._news is not None and stored.told is not None:
            self._news.committed(*stored.told)
        return stored

    async def _store(self, batch: _Batch) -> Stored:
        columns = batch.columns
        if self._merges or columns.rows < _LEAST_APPENDED or _repeats(columns):
            self._merges = max(0, self._merges - 1)
            return await self._database.write(batch.merge)
        try:
            stored = await self._database.write(batch.append)
        except errors.Conflict:
            self._merges = self._pass_over
            self._pass_over = min(2 * self._pass_over, _MOST_PASSED_OVER)
            return await self._database.write(batch.merge)
        self._pass_over = 1
        return stored


class _Batch(NamedTuple):
    """Rows to be stored together."""

    key: CourseKey
    columns: Columns
    now: float
    note: Note | None
    news: ScoreNews | None

    async def append(self, tx: Transaction) -> Stored:
        """Store rows that are all new. Raises `Conflict` where one is not."""
        news = await self._find_news(tx)
        place = tuple(self.key.columns[name] for name in _COLUMNS[:3])
        columns = self.columns
        numbers = (column.tolist() for column in (columns.score, columns.maximum))
        rows = zip(columns.user, columns.activity, columns.at.tolist(), columns.id, *numbers, strict=True)
        await tx.copy_rows("scores", _COLUMNS, [place + row for row in rows])
        return await self._finish(tx, columns.rows, news, columns.user)

    async def merge(self, tx: Transaction) -> Stored:
        """Lay rows over those that are there."""
        news = await self._find_news(tx)
        tells = news is not None and bool(news.learners)
        changed, whose = 0, set[str]()
        for query, given in _parts(self.columns):
            if tells:
                rows = await tx.read_columns(_TELLING[query], given, self.key.columns)
                changed += len(rows)
                whose |= {row["user"] for row in rows}
            else:
                changed += await tx.execute_columns(QUERIES[query], given, self.key.columns)
        return await self._finish(tx, changed, news, whose)

    async def _find_news(self, tx: Transaction) -> News | None:
        return await self.news.find(tx, self.columns.user) if self.news is not None else None

    async def _finish(self, tx: Transaction, changed: int, news: News | None, whose: Collection[str]) -> Stored:
        version = None
        if changed:
            row = await tx.one(QUERIES["bump_gradebook"], {**self.key.columns, "now": self.now})
            version = int(row["version"]) if row else None
        if self.note:
            await self.note(tx, changed)
        told = (news, await self.news.add(tx, news, whose)) if self.news is not None and news is not None else None
        return Stored(changed, version, told)


def _parts(columns: Columns) -> Iterator[tuple[str, dict[str, list[str] | list[float]]]]:
    """The statements that lay rows over those that are there, with what each is given."""
    has_id = np.array([bool(identity) for identity in columns.id], np.bool_)
    for part in _rounds(columns.only(~has_id)):
        given = _given(part)
        del given["id"]
        yield "add_scores", given
    if has_id.any():
        yield "add_identified_scores", _given(columns.only(has_id))


def _given(columns: Columns) -> dict[str, list[str] | list[float]]:
    return {
        "user": columns.user,
        "activity": columns.activity,
        "at": columns.at.tolist(),
        "id": columns.id,
        "score": columns.score.tolist(),
        "maximum": columns.maximum.tolist(),
    }


def _names(columns: Columns) -> Iterator[tuple[str, str, float, str]]:
    """What each row is known by."""
    return zip(columns.user, columns.activity, columns.at.tolist(), columns.id, strict=True)


def _repeats(columns: Columns) -> bool:
    return len(set(_names(columns))) < columns.rows


def _rounds(columns: Columns) -> Iterator[Columns]:
    """The rows in parts in which none has the name of another; the later ones of a name come in later parts."""
    if not _repeats(columns):
        if columns.rows:
            yield columns
        return
    seen: Counter[tuple[str, str, float, str]] = Counter()
    turn = np.zeros(columns.rows, np.int64)
    for place, name in enumerate(_names(columns)):
        turn[place] = seen[name]
        seen[name] += 1
    for number in range(int(turn.max()) + 1):
        yield columns.only(turn == number)
