"""What students see of a course that is too large for a row of each in memory.

Their own row and scores, and the curve, rank and percentile from the course's standings. There are no figures of single
activities, so that nobody is marked absent: it is not known whether there was something to hand in.
"""

from __future__ import annotations

import msgspec

from atomic_guide.clock import Clock, iso
from atomic_guide.course.analytics.attempts import QUERIES, Gathered
from atomic_guide.course.analytics.ledger import Asked, Ledger
from atomic_guide.course.analytics.report import Report, Student, make_curve, make_report, own_view
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.analytics.standings import Standings
from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

KNOWN_SECONDS = 60.0
"""How long it is known whether a course is large: counting 50,000 students takes a tenth of a second."""

_MOST_KNOWN = 10_000


class LargeCourses:
    """The courses with more than `most` students."""

    def __init__(self, shards: Shards, clock: Clock, settings: AnalyticsSettings, ledger: Ledger, most: int) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._ledger = ledger
        self._most = most
        self._known: dict[CourseKey, tuple[bool, float]] = {}

    async def includes(self, key: CourseKey) -> bool:
        """Whether a course is one of them, or was within the last minute."""
        is_large, at = self._known.get(key, (False, float("-inf")))
        if self._clock.monotonic() - at < KNOWN_SECONDS:
            return is_large
        limit = {"limit": self._most + 1}
        row = await self._shards.of(key).scan(QUERIES["count_students"], {**key.columns, **limit})
        is_large = int(row[0]["students"]) > self._most
        self._known.pop(key, None)
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = (is_large, self._clock.monotonic())
        return is_large

    async def view(self, key: CourseKey, user: str) -> Report:
        """What a student sees."""
        database = self._shards.of(key)
        book = await database.one(QUERIES["read_gradebook"], key.columns)
        people = await database.read(QUERIES["read_teachers_and"], {**key.columns, "user": user})
        learners = await database.scan(QUERIES["count_learners"], key.columns)
        teachers = frozenset(row["user"] for row in people if row["role"] == "instructor")
        version = int(book["version"]) if book else 0
        standings = await self._ledger.read_standings(Asked(key, version, teachers))
        rows = await database.read(QUERIES["read_own_latest"], {**key.columns, "user": user})
        updated_at = iso(book["updated_at"]) if book and version else None
        curve = make_curve(len(standings), standings.mean(), standings.percentiles(), standings.tenths())
        members = max(len(standings), int(learners[0]["learners"]))
        report = Report(msgspec.structs.replace(curve, members=members), [], [], self._settings.rules, updated_at)
        names = {row["user"]: row["name"] for row in people if row["user"] == user}
        attempts = await database.read(QUERIES["read_latest_of"], {**key.columns, "user": user})
        own = self._own(user, names, attempts, standings)
        return own_view(report, own, rows, self._settings.privacy_threshold)

    def _own(self, user: str, names: dict[str, str], rows: list[Row], standings: Standings) -> Student | None:
        """The student's row: what their own scores say, and where they stand."""
        standing = standings.standing(user)
        if standing is None or not rows:
            return None
        gathered = Gathered()
        gathered.add(rows)
        (alone,) = make_report(gathered, names, self._settings.rules, self._clock.now(), None).students
        return msgspec.structs.replace(alone, **standing._asdict())
