"""Target tracking: the policy that tunes itself, fed with the demand of a fleet tick by tick."""

from __future__ import annotations

from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import WEB, WORKERS, Expected, Seen
from atomic_guide.operations.scaling.policies.tuned import Prices, Tuned
from atomic_guide.operations.scaling.settings import ScalingSettings

TRACKED = (WEB, WORKERS)
"""Fleets whose demand is measured in what a unit does."""

NAME = "target-tracking"

_MOST_MISSED = 5760
"""Ticks without a measurement that are told to a policy after a gap: a day of 15 s."""

_EXPECTED_SECONDS = 300.0


def policy_of(name: str, memory: Memory, settings: ScalingSettings) -> Tuned:
    """The policy of a fleet, made from what is remembered where it is not alive yet."""
    if name not in memory.policies:
        prices = Prices(settings.minute_price, settings.change_price, settings.flap_price)
        policy = Tuned(settings.tick_seconds, settings.fleet(name).start_delay_seconds, prices, alone=False)
        if name in memory.state.tuned:
            policy.resume(memory.state.tuned[name])
        memory.policies[name] = policy
    return memory.policies[name]


def track(name: str, seen: Seen, fleet: Fleet, missed: int, policy: Tuned) -> Heard:
    """What the policy wants; nothing where it has nothing to go by, and then nothing leaves either.

    `fleet` is what stands, with the bounds that hold now; `missed` ticks before this one were not measured.
    """
    demand = seen.value(name, "demand")
    for _ in range(min(missed, _MOST_MISSED)):
        policy.decide(seen.at, None, fleet)
    choice = policy.decide(seen.at, demand, fleet)
    series = f"{name}.demand"
    inputs: dict[str, float | None] = {series: demand, f"{name}.unit": fleet.unit}
    if demand is None:
        return Heard()
    if choice.units < fleet.coming:
        # What goes while demand rises is started again within minutes.
        if policy.rising:
            return Heard((Wish(fleet.coming, NAME, f"{choice.reason}, but demand rises", "low", None, inputs),))
        return Heard(leaves=(Leave(choice.units, NAME, choice.reason, None, inputs),),
                     wishes=(Wish(choice.units, NAME, choice.reason, "low", None, inputs),))  # fmt: skip
    expected = None
    if choice.units > fleet.coming:
        within = policy.delay + _EXPECTED_SECONDS
        expected = Expected(name, "utilisation", 1.0, within)
    return Heard((Wish(choice.units, NAME, choice.reason, "medium", None, inputs, expected),))
