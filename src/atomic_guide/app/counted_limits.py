"""Limits whose use stands in the databases: counted once a minute by the first process of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.course.lti.limits import PENDING_LOGINS
from atomic_guide.course.lti.registration import QUERIES as LTI
from atomic_guide.course.video.limits import COURSE_BYTES, TENANT_BYTES, UNFINISHED_UPLOADS
from atomic_guide.course.video.space.account import QUERIES as SPACE
from atomic_guide.course.video.videos import QUERIES as VIDEO
from atomic_guide.course.watching.limits import BACKLOG
from atomic_guide.course.watching.taking import QUERIES as WATCHING
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.limit import Used
from atomic_guide.operations.alerts.limits import LOG, SILENCES
from atomic_guide.operations.alerts.store import QUERIES as ALERTS
from atomic_guide.operations.costs.changes import QUERIES as COSTS
from atomic_guide.operations.costs.limits import AUDIT
from atomic_guide.operations.scaling.limits import FLEET, PROCESSES, SERIES
from atomic_guide.operations.scaling.model import WEB, WORKERS
from atomic_guide.operations.scaling.reports import QUERIES as SCALING
from atomic_guide.operations.scaling.reports import STALE_SECONDS

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.database import Database, Row
    from atomic_guide.engines.data.queries import Query
    from atomic_guide.engines.data.shards import Shards

_ROLES = {WEB: {"all", "web"}, WORKERS: {"all", "worker"}}


class CountedLimits:
    """What the last count found; while a database does not tell, what it said before stays."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: dict[str, list[Used]] = {}

    def used(self) -> list[Used]:
        """For the register."""
        return [used for found in self._found.values() for used in found]

    async def look(self, shards: Shards, clock: Clock) -> None:
        """Count anew; for a root task."""
        directory = shards.directory
        self._found["shards"] = await self._of_shards(shards) or self._found.get("shards", [])
        self._found["space"] = await self._of_space(directory)
        logins = await directory.one(LTI["count_logins"])
        self._found["logins"] = [Used(PENDING_LOGINS, _number(logins, "logins"))]
        series = await directory.one(SCALING["count_series"])
        self._found["series"] = [Used(SERIES, _number(series, "series"))]
        self._found["operations"] = await self._of_operations(directory, clock.now())
        rows = await directory.read(SCALING["count_roles"], {"since": clock.now() - STALE_SECONDS})
        self._found["processes"] = self._of_processes({row["role"]: row["processes"] for row in rows})

    async def _of_shards(self, shards: Shards) -> list[Used]:
        async def most(query: Query, name: str) -> float | None:
            found = await scatter(shards.all(), query, {}, short=True)
            return None if found.missing else max((_number(one.row, name) for one in found.rows), default=0.0)

        uploads = await most(VIDEO["most_uploads"], "open")
        waiting = await most(WATCHING["fullest_stream"], "waiting")
        counted = ((UNFINISHED_UPLOADS, uploads), (BACKLOG, waiting))
        return [Used(limit, value) for limit, value in counted if value is not None]

    async def _of_space(self, directory: Database) -> list[Used]:
        allowed = {"allowed": self._settings.video.tenant_quota_bytes}
        courses = await directory.scan(SPACE["fullest_course"])
        found = [Used(COURSE_BYTES, _number(courses[0], "used") if courses else 0.0)]
        if (row := await directory.one(SPACE["fullest_tenant"], allowed)) is not None:
            found.append(Used(TENANT_BYTES, _number(row, "used"), row["tenant"], _number(row, "allowed")))
        return found

    @staticmethod
    async def _of_operations(directory: Database, now: float) -> list[Used]:
        silences = await directory.one(ALERTS["count_silences"], {"now": now})
        log, audit = await directory.one(ALERTS["count_entries"]), await directory.one(COSTS["count_entries"])
        counted = ((SILENCES, silences, "silences"), (LOG, log, "entries"), (AUDIT, audit, "entries"))
        return [Used(limit, _number(row, name)) for limit, row, name in counted]

    def _of_processes(self, roles: dict[str, int]) -> list[Used]:
        found = [Used(PROCESSES, sum(roles.values()))]
        for fleet, names in _ROLES.items():
            units = sum(roles.get(name, 0) for name in names)
            found.append(Used(FLEET, units, fleet, self._settings.scaling.fleet(fleet).max))
        return found


def _number(row: Row | None, name: str) -> float:
    return float(row[name] or 0) if row is not None else 0.0
