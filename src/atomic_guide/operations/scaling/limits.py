"""The limits of what is measured and of what scaling may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from atomic_guide.limit import Limit

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.model import Decision

FLEET = Limit(
    "scaling",
    "fleet_units",
    "units",
    "scaling.*.max",
    refuses="More units, whatever asks for more; the decision says so.",
    answer="decision is cut",
    use="Units of a fleet, of the fleet that is nearest.",
)
SERIES = Limit(
    "scaling",
    "series",
    "series",
    "scaling.series_limit",
    refuses="The measurements of a new series.",
    answer="not recorded",
    use="Series that are recorded.",
)
PROCESSES = Limit(
    "scaling",
    "processes",
    "processes",
    "",
    refuses="The reports of further processes.",
    answer="not read",
    use="Processes that report.",
    fixed=2000,
)
SIMULATIONS = Limit(
    "scaling",
    "simulations",
    "simulations",
    "scaling.simulator.running",
    refuses="The next simulation in this process.",
    answer="429 RATE_LIMITED",
    use="Simulations that run.",
)
SIMULATION_TICKS = Limit(
    "scaling",
    "simulation_ticks",
    "ticks",
    "scaling.simulator.most_ticks",
    refuses="The simulation.",
    answer="400 VALIDATION_ERROR",
    use="Ticks of the largest simulation lately.",
    about="size",
)
SIMULATION_SECONDS = Limit(
    "scaling",
    "simulation_seconds",
    "s",
    "scaling.simulator.seconds",
    refuses="The rest of a simulation.",
    answer="simulation fails",
    use="How long the longest simulation lately took.",
    about="size",
)
LIMITS = (FLEET, SERIES, PROCESSES, SIMULATIONS, SIMULATION_TICKS, SIMULATION_SECONDS)


def note_cuts(decisions: Iterable[Decision]) -> None:
    """Count the decisions in whose way the most units of their fleet were."""
    FLEET.refused += sum(decision.capped for decision in decisions)
