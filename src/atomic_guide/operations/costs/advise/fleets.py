"""Triggers that come to fewer processes: right-sizing, idle queues, few sockets for each process.

They find the same change by different ways, so that they are one recommendation with the evidence of all.
"""

from __future__ import annotations

from collections.abc import Iterator

from atomic_guide.operations.costs.advise.fewer import Fewer
from atomic_guide.operations.costs.advise.model import Change, Considered, Draft, Effect, Facts, Figure, FleetFacts
from atomic_guide.operations.costs.money import ZERO
from atomic_guide.operations.scaling.model import WEB, WORKERS

RIGHT_SIZE, IDLE_QUEUES, FEW_SOCKETS = "right-size", "idle-queues", "few-sockets"

IDLE = 0.1
"""Below this share of its places a queue is idle."""

SOCKETS = 100
"""With fewer for each process, processes are merged."""


def fleets(facts: Facts, found: dict[str, Fewer]) -> Iterator[Draft | Considered]:
    """All of them; `found` is how few units of each fleet would do."""
    for name, fewest in found.items():
        fleet = facts.fleets[name]
        evidence = _evidence(fleet, fewest)
        yield from _said(RIGHT_SIZE, fleet, fewest, evidence)
    yield from _queues(facts, found.get(WORKERS))
    yield from _sockets(facts, found.get(WEB))


def _queues(facts: Facts, fewest: Fewer | None) -> Iterator[Draft | Considered]:
    idle = {name: used for name, used in facts.queues.items() if used < IDLE}
    if not idle:
        return
    evidence = tuple(
        Figure(f"places of the queue {name} in use, mean", round(used, 4), "share", f"workers.work[{name}]")
        for name, used in sorted(idle.items())
    )
    if fewest is None or fewest.least is None:
        why = f": {fewest.why}" if fewest is not None and fewest.why else ""
        text = f"{len(idle)} queues are idle; a queue costs nothing by itself, and no worker can go for it{why}"
        yield Considered(IDLE_QUEUES, text, evidence)
        return
    yield from _said(IDLE_QUEUES, facts.fleets[WORKERS], fewest, evidence)


def _sockets(facts: Facts, fewest: Fewer | None) -> Iterator[Draft | Considered]:
    web = facts.fleets.get(WEB)
    if facts.rooms is None or web is None or web.units <= 1:
        return
    each = facts.rooms.mean / float(web.units)
    if each >= SOCKETS:
        return
    evidence = (
        Figure("sockets for each process, mean", round(each, 2), "sockets", "rooms.sockets"),
        Figure("sockets of the largest room, most", facts.rooms.largest, "sockets", "rooms.largest_room"),
    )
    if fewest is None or fewest.least is None:
        why = fewest.why if fewest is not None else "the fleet was not measured"
        yield Considered(FEW_SOCKETS, f"{each:.0f} sockets for each process, but {why}", evidence)
        return
    yield from _said(FEW_SOCKETS, web, fewest, evidence)


def _said(trigger: str, fleet: FleetFacts, fewest: Fewer, evidence: tuple[Figure, ...]) -> Iterator[Draft | Considered]:
    if fewest.least is None:
        yield Considered(trigger, f"{fleet.fleet}: {fewest.why}", evidence)
        return
    name, least, former = fleet.fleet, fewest.least, fleet.bounds.least
    yield Draft(
        id=f"{name}-fewest-{least}",
        title=f"keep at least {least} {name} in place of {former}",
        trigger=trigger,
        evidence=evidence,
        effect=Effect("units", fleet=name, units=max(fewest.units - fleet.shared, ZERO)),
        risk=_RISKS[name],
        breaks="nothing that scaling keeps: rules, forecast, peaks and schedule add as before, up to the most",
        steps=(f"atomic-guide costs apply {name}-fewest-{least} --yes",
               f"to keep it over new installations, set scaling.{name}.min = {least}"),
        checked=fewest.checked,
        change=Change(name, least, former, fleet.unit, int(fleet.shared)),
    )  # fmt: skip


_RISKS = {
    WEB: "the first minutes of a jump that nobody foresaw: a process more takes its time to start, and until then"
    " answers are slower",
    WORKERS: "jobs that come all at once wait until more workers have started",
}


def _evidence(fleet: FleetFacts, fewest: Fewer) -> tuple[Figure, ...]:
    known = fleet.demand[fleet.demand == fleet.demand]
    rows = [
        Figure("units that ran, mean", float(fleet.units), "units", f"costs.units[{fleet.fleet}]"),
        Figure("fewest units as set", float(fleet.bounds.least), "units"),
        Figure("demand, most of a slot", float(known.max()) if len(known) else None, "work/s", f"{fleet.fleet}.demand"),
        Figure("work of a unit", fleet.unit, "work/s"),
    ]
    for text, trial in (("as it is", fewest.now), ("with fewer", fewest.then)):
        if trial is not None:
            rows.append(Figure(f"replayed {text}, at least {trial.least}: units, mean", round(trial.units, 4), "units"))
            rows.append(Figure(f"replayed {text}: over capacity", round(trial.minutes, 2), "min/day"))
    return tuple(rows)
