"""Adds demo data to an installation that nobody learns on yet, and takes all of it away again.

Guarantees:
- It is refused where courses of a real LMS are, unless told otherwise, and always where a cluster is scaled.
- The mark is the first thing that is written and the last that is removed: whatever interrupts this, `remove` knows.
- While the mark is there, every fleet is at most watched (`shadow`), and alerts reach the console only.
- The made-up record ends before the first real measurement, so that either can be told from the other for good.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.app.demo.courses import Added, Courses, tenant_at
from atomic_guide.app.demo.history import Told, write_history
from atomic_guide.app.keeping.assembly import assembled
from atomic_guide.app.telling import telling_beside
from atomic_guide.clock import iso
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.course.lti.assembly import reach_of
from atomic_guide.course.lti.practice import platform as practice
from atomic_guide.course.lti.registration import tenant_of
from atomic_guide.course.notifications.feed import Feed
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import Conflict
from atomic_guide.operations.demo import record
from atomic_guide.operations.scaling.controls import NONE, Controls
from atomic_guide.operations.scaling.marked import Mark, demo_mark, drop_mark, put_mark
from atomic_guide.operations.scaling.model import REPLICAS, SHARDS, WEB, WORKERS, Mode

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards

_QUERIES = load_queries(__package__)

DAYS = 28
"""Of the made-up history: the forecast and the capacity plan need more than two weeks."""

_MINUTE, _DAY = 60.0, 86_400.0
_WHO = "demo"
_ACTING = {"auto", "approve"}

Tell = Callable[[str], None]
"""Hears of the steps."""


class Outcome(msgspec.Struct, frozen=True):
    """What was added, or would be: the time that the history is of, fleets whose mode is `shadow` now, counts."""

    begins_at: str
    until: str
    tenant: str
    shadowed: list[str]
    courses: Added | None = None
    history: Told | None = None


class Removed(msgspec.Struct, frozen=True):
    """What was removed, and which fleets have their mode back."""

    tenant: str
    measurements: int
    rows: dict[str, int]
    restored: list[str]


class _Plan(NamedTuple):
    mark: Mark
    shadowed: list[str]


class Demo:
    """The demo data of one installation."""

    def __init__(self, settings: Settings, shards: Shards, now: float, tell: Tell) -> None:
        self._settings = settings
        self._shards = shards
        self._directory = shards.directory
        self._now = now
        self._tell = tell
        self._data = Path(settings.data)

    async def preview(self, *, anyway: bool = False) -> Outcome:
        """What `add` would do. Raises as it does."""
        plan = await self._planned(anyway=anyway)
        return _outcome(plan)

    async def add(self, *, anyway: bool = False) -> Outcome:
        """Add it. Raises `Conflict` where it is there, or would stand beside real courses, unless `anyway`."""
        mark, shadowed = plan = await self._planned(anyway=anyway)
        await self._marked(mark)
        controls = Controls(self._directory, _WHO)
        for fleet in shadowed:
            await controls.set_mode(fleet, "shadow")
        keeping = await assembled(self._settings, self._data, self._shards)
        queues = keeping.parts.queues
        feed = Feed(self._shards, keeping.parts.clock, queues, self._settings.notifications, self._settings.mail)
        courses = Courses(keeping, self._settings, mark.until)
        async with telling_beside(self._settings, feed, queues):
            await courses.register(reach_of(self._settings.lti))
            self._tell("courses, members, chat, scores and lectures")
            added = await courses.add()
        told = await write_history(self._settings, self._shards, mark, self._tell)
        return msgspec.structs.replace(_outcome(plan), courses=added, history=told)

    async def remove(self) -> Removed | None:
        """Take all of it away; None where there is none. What was interrupted goes on from where it is."""
        mark = await demo_mark(self._directory)
        if mark is None:
            return None
        self._tell("courses and lectures")
        keeping = await assembled(self._settings, self._data, self._shards)
        whom = Whom(tenant=mark.tenant)
        rows = await keeping.forgetter.found(whom)
        await keeping.forgetter.forget(whom)
        self._tell("the made-up history")
        measurements = await record.remove(self._directory, mark)
        await self._directory.write(drop_mark)
        controls = Controls(self._directory, _WHO)
        for fleet, mode in mark.modes.items():
            await controls.set_mode(fleet, mode)
        return Removed(mark.tenant, measurements, rows, sorted(mark.modes))

    async def _planned(self, *, anyway: bool) -> _Plan:
        if await demo_mark(self._directory) is not None:
            raise Conflict("there is demo data already; `atomic-guide demo remove` takes it away")
        if self._settings.kubernetes.on:
            raise Conflict("this installation scales a cluster (kubernetes.on); add demo data to one that does not")
        if not anyway and (why := await self._real()):
            raise Conflict(f"{why}; demo data belongs on an installation of its own (--anyway adds it here)")
        first = await record.first_measured(self._directory)
        until = min(self._now, self._now if first is None else first) // _MINUTE * _MINUTE
        tenant = tenant_at(until)
        modes = await self._modes()
        mark = Mark(self._now, (until - DAYS * _DAY) // 900 * 900, until, tenant, modes)
        return _Plan(mark, sorted(modes))

    async def _modes(self) -> dict[str, Mode | None]:
        """Fleets that something is done to, or may be once somebody agrees, with what operators have set for them."""
        controls = await Controls(self._directory).look()
        shards = [one.name for one in self._shards.all()]
        copied = [name for name in shards if self._shards.named(name).replicas is not None]
        names = [WEB, WORKERS, SHARDS, *(f"{REPLICAS}{name}" for name in copied)]
        set_ = {name: controls.get(name, NONE).mode for name in names}
        return {
            name: mode for name, mode in set_.items() if (mode or self._settings.scaling.fleet(name).mode) in _ACTING
        }

    async def _real(self) -> str:
        """What of a real LMS is here, in words; empty where nothing is."""
        known = await self._directory.read(_QUERIES["list_platforms"])
        names = [row["name"] or row["issuer"] for row in known if row["issuer"] != practice.ISSUER]
        if names:
            return f"the platform {names[0]} is registered here"
        own = tenant_of(practice.ISSUER, practice.CLIENT, practice.DEPLOYMENT)
        for shard in self._shards.all():
            if await shard.read(_QUERIES["other_tenants"], {"tenant": own}):
                return "courses of an LMS are here"
        return ""

    async def _marked(self, mark: Mark) -> None:
        async def work(tx: Transaction) -> None:
            await put_mark(tx, mark)

        await self._directory.write(work)


def _outcome(plan: _Plan) -> Outcome:
    mark = plan.mark
    return Outcome(iso(mark.begins_at), iso(mark.until), mark.tenant, plan.shadowed)
