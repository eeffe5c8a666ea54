"""A Deployment that KEDA scales by our number: we leave the number in the directory, `web/wanted.py` serves it.

KEDA asks for it each few seconds and its autoscaler sets the replicas, so this target writes nothing in Kubernetes.
"""

from __future__ import annotations

from atomic_guide.app.targets.apiserver import patiently
from atomic_guide.app.targets.kubernetes import Scalable, SoleWriter, check_bounds, fleet_of
from atomic_guide.app.targets.processes import Bounds
from atomic_guide.errors import Conflict
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.wishes import Wishes

ADOPTED = "adopted"
"""The key of the first number, which is what was found: KEDA must be answered before anything is decided."""


class KedaTarget:
    """One fleet that follows the number which KEDA reads."""

    def __init__(
        self, fleet: str, scalable: Scalable, bounds: Bounds, wishes: Wishes, writers: SoleWriter, seconds: float
    ) -> None:
        self.fleet = fleet
        self._scalable = scalable
        self._bounds = bounds
        self._wishes = wishes
        self._writers = writers
        self._seconds = seconds

    async def look(self) -> Fleet:
        """What is ready and what starts; a number that KEDA has not yet read counts. Raises `ApiUnavailable`."""
        found = await patiently(self._scalable.read, self._seconds)
        wish = await self._wishes.of(self.fleet)
        if wish is None:
            units = min(max(found.units, self._bounds.least), self._bounds.most)
            await self._wishes.make(self.fleet, ADOPTED, units, found.units, done=True)
        return fleet_of(found, self._bounds, wish.units if wish is not None else found.units)

    async def scale(self, desired: int, key: str) -> None:
        """Leave the number for KEDA, once for each key; nothing for one that was taken back.

        Raises `Invalid` out of the bounds, `Conflict` where KEDA would not follow it, `DataUnavailable` where it cannot
        be written down.
        """
        check_bounds(self.fleet, desired, self._bounds)
        if refusal := self._writers.refusal(self.fleet):
            raise Conflict(refusal)
        found = await patiently(self._scalable.read, self._seconds)
        await self._wishes.make(self.fleet, key, desired, found.units, done=True)
