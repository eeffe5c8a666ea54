"""Several policies replayed on the same demand: for the command, and for the simulator of the console. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from atomic_guide.operations.scaling.fleet import Choice, Fleet, Policy
from atomic_guide.operations.scaling.policies.named import NAMES, make_policy
from atomic_guide.operations.scaling.simulate import Run, Score, Terms, learn, replay, score
from atomic_guide.operations.scaling.trace import Series

_TOLD_TICKS = 500
"""After so many ticks of a replay is told how far it is: some milliseconds of it."""

Told = Callable[[str, float], None]
"""Told the name of the policy that is replayed, and which share of all of them is done."""


class Compared(NamedTuple):
    """How one policy did."""

    name: str
    run: Run
    score: Score


class Before(NamedTuple):
    """Demand by ticks before the trace, from which policies may learn."""

    start: float
    demand: Series


class _Counted:
    """A policy that tells how often it was asked."""

    def __init__(self, policy: Policy, told: Callable[[int], None]) -> None:
        self._policy = policy
        self._told = told
        self._asked = 0

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """As the policy itself."""
        self._asked += 1
        if self._asked % _TOLD_TICKS == 0:
            self._told(self._asked)
        return self._policy.decide(at, demand, fleet)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The policies of these names, each once; all, where none is named."""
    return tuple(dict.fromkeys(names)) or NAMES


def compare(
    names: Sequence[str],
    start: float,
    demand: Series,
    terms: Terms,
    before: Before | None = None,
    told: Told | None = None,
) -> Iterator[Compared]:
    """Replay a demand by ticks under each policy, one after another. Raises `Invalid` for a name that there is not."""
    every = len(demand) * len(names)
    for place, name in enumerate(names):
        policy = make_policy(name, terms)
        if before is not None:
            learn(policy, before.start, before.demand, terms)
        if told is not None:
            policy = _Counted(policy, _telling(told, name, place * len(demand), every))
        run = replay(policy, start, demand, terms)
        yield Compared(name, run, score(run, demand, terms))


def _telling(told: Told, name: str, done: int, every: int) -> Callable[[int], None]:
    return lambda asked: told(name, min((done + asked) / every, 1.0))
