"""Read replicas that nobody needs.

A replica is taken away by the rule quick-reads, but never below the fewest. So what can be saved are fewest that are
more than reads need: one fewer, where the window's reads are as quick as that rule asks for, and what is left would
still be used to less than the share at which a server is full.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from atomic_guide.operations.costs.advise.model import Change, Considered, Draft, Effect, Facts, Figure, FleetFacts
from atomic_guide.operations.scaling.model import REPLICAS

RIGHT_SIZE = "right-size"

_QUICK_SECONDS = 0.1
"""As the rule quick-reads has it."""

_BUSY = 0.6
"""Up to here reads do not wait for one another: above, queueing makes them slower by half again and more."""


def replicas(facts: Facts) -> Iterator[Draft | Considered]:
    """One replica fewer for each shard whose fewest are more than its reads need."""
    for name, fleet in sorted(facts.fleets.items()):
        if name.startswith(REPLICAS) and fleet.units > 0:
            yield from _of(facts, fleet)


def _of(facts: Facts, fleet: FleetFacts) -> Iterator[Draft | Considered]:
    name, shard = fleet.fleet, fleet.fleet.removeprefix(REPLICAS)
    p95, busy = facts.reads_p95.get(shard), facts.busy.get(shard)
    evidence = (
        Figure("replicas that ran, mean", float(fleet.units), "units", f"costs.units[{name}]"),
        Figure("fewest as set", float(fleet.bounds.least), "units"),
        Figure("reads, p95", p95, "s", f"database.query[{shard}]"),
        Figure("how busy the shard's servers were, p95", busy, "share", f"database.utilisation[{shard}]"),
    )
    if p95 is None or busy is None or p95 >= _QUICK_SECONDS:
        return
    least, mode = fleet.bounds.least - 1, fleet.bounds.mode
    if least < fleet.bounds.lowest:
        how = {"approve": "it asks an operator", "auto": "it does that by itself"}.get(mode, f"not in mode {mode}")
        why = f"{name}: reads are quick; to take a replica away is for the rule quick-reads: {how}"
        yield Considered(RIGHT_SIZE, why, evidence)
        return
    servers = 1 + fleet.units
    then = busy * float(servers / (servers - 1))
    if mode in {"off", "shadow"} or then > _BUSY:
        why = f"in mode {mode} nobody acts" if mode in {"off", "shadow"} else f"the others would be {then:.0%} busy"
        yield Considered(RIGHT_SIZE, f"{name}: {why}", evidence)
        return
    yield Draft(
        id=f"replicas-{shard}-fewest-{least}",
        title=f"keep at least {least} replicas of {shard} in place of {fleet.bounds.least}",
        trigger=RIGHT_SIZE,
        evidence=evidence,
        effect=Effect("units", fleet=name, units=max(fleet.units - 1, Decimal(least))),
        risk="a primary that fails has one standby fewer to be replaced by; a new replica takes minutes",
        breaks="nothing that scaling keeps: the rule slow-reads adds one again",
        steps=(f"atomic-guide costs apply replicas-{shard}-fewest-{least} --yes",
               f"then the rule quick-reads takes it away: {mode}"),
        checked=(f"reads: p95 {p95:.3f} s, the rule quick-reads asks for less than {_QUICK_SECONDS:g} s",
                 f"use: {busy:.0%} now, {then:.0%} without it, at most {_BUSY:.0%}"),
        change=Change(name, least, fleet.bounds.least),
    )  # fmt: skip
