"""The load of a rehearsal: people who write and read all the time, and what each of their requests met, and when."""

from __future__ import annotations

import asyncio
import time
from typing import Literal, NamedTuple

import httpx

from atomic_guide.app.rehearsal.people import Visit
from atomic_guide.app.rehearsal.plan import Tenant
from atomic_guide.errors import GuideError

_PAUSE_SECONDS = 0.05
"""Between two requests of one person; 0.05 s makes about 20 a second of each."""

Kind = Literal["read", "write"]


class Met(NamedTuple):
    """What a request met: when it was answered, with which status (0: by nobody), and the Retry-After of a 503."""

    at: float
    kind: Kind
    status: int
    retry_after: str

    @property
    def well(self) -> bool:
        """Whether it was answered as it should."""
        return 0 < self.status < httpx.codes.BAD_REQUEST


class Load:
    """Writers and readers of each visit, until they are stopped."""

    def __init__(self, visits: list[Visit], near: str = "") -> None:
        self._visits = visits
        self._near = near
        self.met: dict[str, list[Met]] = {visit.tenant.name: [] for visit in visits}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let them begin."""
        for visit in self._visits:
            self._tasks += [asyncio.create_task(self._go(visit, kind)) for kind in ("read", "write")]

    async def stop(self) -> None:
        """Let each finish what it is at, and no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def since(self, tenant: Tenant, at: float, kind: Kind | None = None) -> list[Met]:
        """What a tenant's requests met since a moment."""
        return [one for one in self.met[tenant.name] if one.at >= at and kind in {None, one.kind}]

    async def _go(self, visit: Visit, kind: Kind) -> None:
        near = self._near or visit.tenant.home
        while True:
            try:
                # Shielded: what was sent may be acknowledged, and must be noted then.
                answer = await asyncio.shield(visit.say(near) if kind == "write" else visit.read(near))
                met = Met(time.monotonic(), kind, answer.status_code, answer.headers.get("retry-after", ""))
            except (GuideError, httpx.HTTPError):
                met = Met(time.monotonic(), kind, 0, "")
            self.met[visit.tenant.name].append(met)
            await asyncio.sleep(_PAUSE_SECONDS)
