"""The processes of this server as two fleets: `web` answers requests and holds rooms, `workers` runs jobs.

One more is a child of the supervisor, ready within seconds; one fewer drains first. An act is done once for its key, as
long as the supervisor lives, whose end also ends what was wished. Counts are absolute, so that an act that is asked for
again after that is still one.
"""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide.app.processes import Role, Scaled, Wanted
from atomic_guide.app.targets.taken import Taken
from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import WEB, WORKERS


class Bounds(NamedTuple):
    """How many there may be, and units of work a second of one of them."""

    least: int
    most: int
    unit: float


class Processes:
    """One role's processes. The supervisor itself is the first of web; it runs jobs too, as the first of workers."""

    def __init__(self, fleet: str, scaled: Scaled, bounds: Bounds) -> None:
        self.fleet = fleet
        self._role: Role = "web" if fleet == WEB else "worker"
        self._scaled = scaled
        self._bounds = bounds
        self._taken = Taken()

    async def look(self) -> Fleet:
        """What is ready and what starts; one that drains is neither."""
        present = [one for one in self._scaled.children.values() if one.name.startswith(f"{self._role}-")]
        ready = 1 + sum(one.state == "running" for one in present)
        starting = sum(one.state == "starting" for one in present)
        least, most, unit = self._bounds
        # A wish that the supervisor has not yet taken counts, else it would be made a second time.
        starting = max(starting, self._wished() - ready, 0)
        return Fleet(ready, starting, least, most, unit)

    async def scale(self, desired: int, key: str) -> None:
        """Leave a wish, which the supervisor takes within a second, once for each key. Raises `Invalid` out of bounds.

        Between an act and its repetition operators may have set another count, which then stays.
        """
        if key in self._taken:
            return
        if not self._bounds.least <= desired <= self._bounds.most:
            raise Invalid(
                f"{desired} {self.fleet} are out of the bounds of scaling.{self.fleet}: from {self._bounds.least}"
                f" to {self._bounds.most}"
            )
        if self._role == "web":
            self._scaled.wish(web=desired)
        else:
            self._scaled.wish(worker=desired - 1)
        self._taken.add(key)

    def _wished(self) -> int:
        wanted: Wanted = self._scaled.newest()
        return wanted.web if self._role == "web" else wanted.worker + 1


def process_targets(scaled: Scaled, web: Bounds, workers: Bounds) -> list[Processes]:
    """Both fleets of a server."""
    return [Processes(WEB, scaled, web), Processes(WORKERS, scaled, workers)]
