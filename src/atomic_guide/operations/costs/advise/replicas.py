"""Read replicas that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator

from atomic_guide.operations.costs.advise.model import Considered, Facts, Figure
from atomic_guide.operations.scaling.model import REPLICAS

RIGHT_SIZE = "right-size"

_QUICK_SECONDS = 0.1
"""As the rule quick-reads has it."""


def replicas(facts: Facts) -> Iterator[Considered]:
    """Replicas of shards whose reads are quick: the rule quick-reads takes them away, so that nothing is done twice."""
    for name, fleet in sorted(facts.fleets.items()):
        if not name.startswith(REPLICAS) or fleet.units <= 0:
            continue
        shard = name.removeprefix(REPLICAS)
        p95 = facts.reads_p95.get(shard)
        evidence = (
            Figure("replicas that ran, mean", float(fleet.units), "units", f"costs.units[{name}]"),
            Figure("reads, p95 of the window", p95, "s", f"database.query[{shard}]"),
        )
        if p95 is not None and p95 < _QUICK_SECONDS:
            mode = fleet.bounds.mode
            how = {
                "approve": "it asks an operator: `atomic-guide scale status` shows what waits",
                "auto": "it does that by itself",
            }.get(mode, f"in mode {mode} it is not done: `atomic-guide scale mode {name} approve`")
            why = f"{name}: reads are quick, and to take a replica away is for the rule quick-reads; {how}"
            yield Considered(RIGHT_SIZE, why, evidence)
