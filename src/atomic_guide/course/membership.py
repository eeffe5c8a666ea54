"""Keeps a course's members as the roster of its LMS has them: a job, asked for by an instructor's launch.

So instructors see names for students who have not come yet, and how many there are. Who has left the course in the
LMS stays a member here, because messages and scores name them; they cannot come in without a launch. Who was erased
is not brought back by a roster, only by a launch of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.course.enrolment import QUERIES, ROSTER, services_of
from atomic_guide.course.keeping.erased import erased_people
from atomic_guide.course.notifications.contacts import keep_listed
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import Permanent

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.lti.assembly import Lti
    from atomic_guide.course.lti.roster import Member
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.lease import Lease


class RosterJob(Unmourned):
    """Reads a roster and stores its members, a page at a time; repeating it changes nothing.

    `mailed`: where e-mail is sent at all, with the addresses of those who have been here.

    Of a dead letter: nothing depends on a roster; it says why it could not be read.
    """

    def __init__(self, shards: Shards, lti: Lti, clock: Clock, *, mailed: bool = False) -> None:
        self._shards = shards
        self._lti = lti
        self._clock = clock
        self._mailed = mailed

    async def run(self, lease: Lease) -> None:
        """Read every page. Raises `Permanent` for a registration that is gone, `GuideError` to try again."""
        key = lease.job.key
        platform = await self._lti.platforms.get(str(lease.job.payload.get("platform")))
        services = await services_of(self._shards, key)
        if platform is None or not services.has_roster:
            raise Permanent("the registration or its roster is gone")
        async for page in self._lti.roster.pages(platform, services.roster_url):
            await self._store(key, [member for member in page if member.status != "deleted"])

    async def _store(self, key: CourseKey, members: list[Member]) -> None:
        now = self._clock.now()
        rows = [{**key.columns, "user": one.user, "name": one.name, "role": one.role, "now": now} for one in members]
        erased = await erased_people(self._shards.directory, self._clock, key.tenant, [one.user for one in members])

        async def work(tx: Transaction) -> None:
            await tx.execute_many(QUERIES["put_listed_member"], [row for row in rows if row["user"] not in erased])
            await tx.execute_many(QUERIES["correct_member"], [row for row in rows if row["user"] in erased])
            await tx.execute(QUERIES["count_people"], key.columns)
            if self._mailed:
                await keep_listed(tx, key, [(one.user, one.email) for one in members if one.user not in erased], now)

        if rows:
            await self._shards.of(key).write(work)


def handlers(shards: Shards, lti: Lti, clock: Clock, *, mailed: bool = False) -> dict[str, Handler]:
    """What runs the jobs about courses."""
    return {ROSTER: RosterJob(shards, lti, clock, mailed=mailed)}
