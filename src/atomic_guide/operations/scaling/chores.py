"""What is done for deciding between two ticks, by the leader.

A new leader's policies are told of the demand that was recorded before them, a day that has ended is replayed in a
thread, once an hour the time ahead is looked at, and the record is thinned. None of it holds up a tick for longer than
a replay takes, about half a second, and none of it is needed for the next one: what fails is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from atomic_guide.operations.scaling.decide.tracking import TRACKED
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.trace import Series as Values

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.decide.outlook import Outlook
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.mind import Mind
    from atomic_guide.operations.scaling.nights import Nights
    from atomic_guide.operations.scaling.series import Series

    Ahead = Callable[[str, float], Awaitable[Outlook]]
    """Looks at the time ahead of a fleet from a moment."""

_DAY = 86_400.0
_FINE_DAYS, _COARSE_DAYS = 2, 8
"""What policies look back upon, the mean of seven days and the day that is replayed; as fine as it is on record."""
_FINE, _COARSE = 15, 60

_NIGHTS = 30
_OUTLOOK_SECONDS = 3600.0
_THIN_SECONDS = 900.0


class Chores:
    """The chores of one process's mind; done only while it leads."""

    def __init__(self, mind: Mind, series: Series, nights: Nights, ahead: Ahead, clock: Clock) -> None:
        self._mind = mind
        self._series = series
        self._nights = nights
        self._ahead = ahead
        self._clock = clock
        self.fleets: Mapping[str, Fleet] = {}
        """As they were at the last tick of this process; none where another leads."""
        self._recalled: dict[str, object] = {}
        self._thinned_at = -_THIN_SECONDS

    async def tend(self) -> None:
        """Do what is due; for a root task of each few seconds."""
        fleets = self.fleets
        if not fleets:
            return
        for name in TRACKED:
            # A memory that was loaded, by a new lead, has policies that have seen nothing.
            if name in fleets and self._recalled.get(name) is not self._mind.memory:
                await self._recall(name)
        for name in fleets:
            await self._look_ahead(name)
        if self._mind.studies:
            for name, night in (await asyncio.to_thread(self._mind.study, fleets)).items():
                constants = self._mind.memory.policies[name].constants(night.chosen)
                await self._nights.put(name, self._clock.now(), night, constants, self._mind.frontier(name))
        if self._clock.monotonic() - self._thinned_at >= _THIN_SECONDS:
            self._thinned_at = self._clock.monotonic()
            await self._series.thin(self._clock.now())

    async def _recall(self, name: str) -> None:
        now, key = self._clock.now(), Key(name, "demand")
        coarse = await self._recorded(key, now - _COARSE_DAYS * _DAY, now - _FINE_DAYS * _DAY, _COARSE)
        fine = await self._recorded(key, now - _FINE_DAYS * _DAY, now, _FINE)
        demand = np.concatenate((coarse, fine))
        known = np.flatnonzero(~np.isnan(demand))
        if len(known):
            self._mind.recall(name, demand[known[0] :], await self._nights.last(name, _NIGHTS))
        self._recalled[name] = self._mind.memory

    async def _recorded(self, key: Key, since: float, until: float, step: int) -> Values:
        """A series by ticks, NaN where it was not measured."""
        found = await self._series.read(key, since, until, step)
        return np.repeat(found.values, max(found.step // _FINE, 1))

    async def _look_ahead(self, name: str) -> None:
        outlook = self._mind.memory.state.outlooks.get(name)
        now = self._clock.now()
        if outlook is None or not 0 <= now - outlook.made_at < _OUTLOOK_SECONDS:
            self._mind.look_ahead(name, await self._ahead(name, now))
