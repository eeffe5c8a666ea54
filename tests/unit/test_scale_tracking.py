"""Target tracking: what a fleet's own policy is told, and what of its choice is a wish, a leave, or nothing."""

import pytest

from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.tracking import policy_of, track
from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.fleet import Choice, Fleet
from atomic_guide.operations.scaling.model import Expected, Key, Seen
from atomic_guide.operations.scaling.policies.tuned import Tuned
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings

AT, FLEET = 5000.0, Fleet(3, 1, 1, 50, 100.0)
INPUTS: dict[str, float | None] = {"web.demand": 250.0, "web.unit": 100.0}


class Set(Tuned):
    """A policy whose choice is set, and that keeps what it is told."""

    def __init__(self, units: int, *, rises: bool = False) -> None:
        super().__init__(15.0, 90.0, count=2, alone=False)
        self.units, self.rises, self.told = units, rises, list[tuple[float, float | None, Fleet]]()

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        self.told.append((at, demand, fleet))
        return Choice(self.units, "its reason")

    @property
    def rising(self) -> bool:
        return self.rises


def tracked(policy: Tuned, demand: float | None = 250.0, missed: int = 0) -> Heard:
    values = {} if demand is None else {Key("web", "demand"): demand}
    return track("web", Seen(AT, values), FLEET, missed, policy)


def test_more_is_a_wish_that_expects_its_units_to_be_used_to_the_full_at_most() -> None:
    assert tracked(Set(6)) == Heard((
        Wish(6, "target-tracking", "its reason", "medium", None, INPUTS, Expected("web", "utilisation", 1.0, 390.0)),
    ))  # fmt: skip


def test_as_many_as_there_are_is_a_wish_that_expects_nothing() -> None:
    assert tracked(Set(4)) == Heard((Wish(4, "target-tracking", "its reason", "medium", None, INPUTS),))


def test_fewer_lets_go_unless_demand_rises() -> None:
    assert tracked(Set(2)) == Heard(
        (Wish(2, "target-tracking", "its reason", "low", None, INPUTS),),
        (Leave(2, "target-tracking", "its reason", None, INPUTS),),
    )
    assert tracked(Set(2, rises=True)) == Heard((
        Wish(4, "target-tracking", "its reason, but demand rises", "low", None, INPUTS),
    ))  # fmt: skip


def test_what_is_not_measured_is_told_to_the_policy_and_says_nothing() -> None:
    policy = Set(2)
    assert tracked(policy, None) == Heard()
    assert policy.told == [(AT, None, FLEET)]


@pytest.mark.parametrize(("missed", "told"), [(0, 0), (3, 3), (5760, 5760), (9000, 5760)])
def test_ticks_that_were_missed_are_told_first_a_day_of_them_at_most(missed: int, told: int) -> None:
    policy = Set(4)
    tracked(policy, missed=missed)
    assert policy.told == [(AT, None, FLEET)] * told + [(AT, 250.0, FLEET)]


def test_a_policy_is_made_once_from_the_settings_and_what_is_remembered() -> None:
    settings = ScalingSettings(minute_price=0.5, change_price=0.25, flap_price=0.125,
                               web=FleetSettings(start_delay_seconds=75.0))  # fmt: skip
    memory = Memory()
    policy = policy_of("web", memory, settings)
    assert policy_of("web", memory, settings) is policy
    assert policy.delay == 75.0
    assert policy._prices == (0.5, 0.25, 0.125)
    assert policy._tick == settings.tick_seconds
    for _ in range(5):
        policy.decide(AT, 9.0, FLEET)
    assert not policy.due
    policy.pin(7, FLEET)
    again = policy_of("web", Memory.loaded(memory.saved()), settings)
    assert (again.pinned, again.chosen) == (7, 7)
    assert again.state() == policy.state()
    assert policy_of("workers", memory, settings).pinned is None
