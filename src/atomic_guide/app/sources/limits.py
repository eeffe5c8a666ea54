"""`limit`: how full the limits are, over all processes: those that are levels, since only they run out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.limits.telling import REFUSED, USAGE
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.reports import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atomic_guide.limit import Limit
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look
    from atomic_guide.operations.scaling.series import Series

LIMIT = "limit"

METRICS = (
    Metric(LIMIT, "usage", "share",
           "Use of a limit that is a level, in the process that is nearest; without a part, of all.", "limit"),
    Metric(LIMIT, "refused", "refusals/s", "What a limit refuses; no data before it has refused anything.", "limit"),
)  # fmt: skip

_WORTH = 0.25
"""The share from which on a limit has a series of its own: a series takes 4 MB, and most limits are never near."""


class LimitsSource:
    """Over all processes. One that is silent makes nothing unknown: the others' limits are as full as they say."""

    name = LIMIT
    metrics = METRICS

    def __init__(self, reports: Once[Look], series: Series, limits: Iterable[Limit]) -> None:
        self._reports = reports
        self._series = series
        self._levels = {limit.name for limit in limits if limit.about == "level"}
        self._recorded: set[str] | None = None

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick."""
        look = await self._reports.at(at)
        if self._recorded is None:
            self._recorded = {key.part for key in await self._series.keys() if key[:2] == (LIMIT, "usage")}
        levels = self._levels & set(look.parts(USAGE))
        usage = {part: max(look.gauges(named(USAGE, part)), default=0.0) for part in levels}
        if not usage:
            return []
        self._recorded |= {part for part, share in usage.items() if share >= _WORTH}
        samples = [Sample(Key(LIMIT, "usage"), max(usage.values()))]
        samples += [Sample(Key(LIMIT, "usage", part), usage[part]) for part in sorted(self._recorded & usage.keys())]
        refused = {part: look.rate(named(REFUSED, part)) for part in look.parts(REFUSED)}
        samples += [Sample(Key(LIMIT, "refused", part), rate) for part, rate in refused.items() if rate is not None]
        return samples
