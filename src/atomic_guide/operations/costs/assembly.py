"""Everything that speaks of costs over one directory: for commands, for HTTP, and for the leader's chores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.costs.days import Days
from atomic_guide.operations.costs.report import Report, make_report
from atomic_guide.operations.costs.terms import Terms, made_terms
from atomic_guide.operations.scaling.series import Series

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.costs.settings import CostSettings
    from atomic_guide.operations.scaling.settings import ScalingSettings

REPORT_DAYS = 30
"""Of a report that is not asked for another span."""


class Costs:
    """The costs of an installation."""

    def __init__(self, directory: Database, clock: Clock, terms: Terms) -> None:
        self.directory = directory
        self.clock = clock
        self.terms = terms
        self.series = Series(directory)

    async def report(self, days: int = REPORT_DAYS) -> Report:
        """What was and is paid, what for, and what the month will come to. Raises `Invalid`."""
        return await make_report(self.directory, self.series, self.terms, self.clock.now(), days)

    async def tend(self) -> None:
        """Close days that have ended; for whoever leads scaling, each few minutes. Again is harmless."""
        await Days(self.directory, self.series, self.terms).close(self.clock.now())


def build_costs(directory: Database, clock: Clock, scaling: ScalingSettings, costs: CostSettings) -> Costs:
    """Over a directory. Raises `Invalid` or `NotFound` where the price list cannot be used."""
    return Costs(directory, clock, made_terms(scaling, costs))
