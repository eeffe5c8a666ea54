"""Levelling the shards: what would move, and moving it. The command and the HTTP call do the same by these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from atomic_guide.engines.data.layout.measure import Measure, Measured, measure_shards
from atomic_guide.engines.data.layout.view import zone_now
from atomic_guide.engines.data.layout.waves import Outcome, Wanted, Waves, wanted_of
from atomic_guide.engines.data.moves import Move, Mover
from atomic_guide.engines.data.plan import TOLERANCE, Plan, plan_zone
from atomic_guide.engines.data.shards import Shards

PAUSE_SECONDS = 2.0
"""How long writes of a bucket may wait, unless somebody says otherwise: below the 5 s after which they get 503."""
PAUSE_LEAST, PAUSE_MOST = 0.1, 300.0
AT_ONCE_MOST = 64


class Levelled(NamedTuple):
    """What is to be levelled: which zone (none: all of them), by what, how far from its share a shard may be."""

    zone: str | None = None
    by: Measure = "bytes"
    tolerance: float = TOLERANCE


class Plans(NamedTuple):
    """A plan for each zone, and the moves of before, which are ended first."""

    zones: dict[str, Plan]
    unfinished: list[Move]

    @property
    def wanted(self) -> list[Wanted]:
        """What is to move, zone by zone."""
        return [one for zone, plan in self.zones.items() for one in wanted_of(zone, plan.moves)]


async def plan_zones(shards: Shards, what: Levelled, now: float, measured: Measured | None = None) -> Plans:
    """Plan each zone as it will be once the moves under way have ended; measured now, where it was not just before.

    Raises `NotFound` for a zone that has no shards, `DataUnavailable` where one does not answer.
    """
    measured = measured or await measure_shards(shards, now)
    unfinished = list(await Mover(shards, "plan").under_way())
    zones = [what.zone] if what.zone else sorted(shards.map.buckets)
    return Plans(
        {
            name: plan_zone(await zone_now(shards, name, unfinished, measured, what.by), what.tolerance)
            for name in zones
        },
        unfinished,
    )


async def rebalance(waves: Waves, plan: Callable[[], Awaitable[Plans]], limit: int | None) -> Outcome:
    """End the moves of before, then move what `plan` says; at most `limit` moves in all. Repeatable."""
    before = await waves.unfinished()
    outcome = await waves.finish(before[:limit])
    if outcome.left or outcome.failed:
        return outcome
    plans = await plan()
    return await waves.carry_out(plans.wanted[: limit and max(0, limit - len(before))])


async def abandon_planned(waves: Waves) -> Outcome:
    """Forget the moves that were written down and not begun."""
    return await waves.abandon([one for one in await waves.unfinished() if one.state == "planned"])
