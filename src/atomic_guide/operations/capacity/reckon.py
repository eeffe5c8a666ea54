"""Need against capacity, day by day, over what may be. Pure, numpy only.

2,000 draws with one seed: in each, the growth, and for each component the need at its peak, what a unit bears and the
inflow, are a quantile of their spread. The same draws serve every plan, so that two plans differ by what was asked and
by nothing else; a component's draws go by its name, so that one more component changes no other. Growth is drawn once
for all drivers: where more people come than expected, they come to everything.

    need(day) = need * growth(day + age) * season(day)                     of loads
    need(day) = stock + inflow * sum of growth and season up to the day    of what is kept

A component runs out on the first day on which its need is over units * size.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.capacity.component import Component
from atomic_guide.operations.capacity.growth import Driver, Growth
from atomic_guide.operations.capacity.spread import HIGH, LOW, MIDDLE, Series

DRAWS = 2000
"""Quantiles of the dates move by less than a fiftieth of their interval from seed to seed."""

_SEED = 20

_STEPS = 6
"""Steps of a load test that is asked for: one more than a law of scaling needs."""

INPUTS = ("growth", "need", "size", "inflow")
"""What is uncertain, by the names that sensitivity uses."""


class Draws(NamedTuple):
    """Probabilities at which each input of a component is taken, one for each draw."""

    growth: Series
    need: Series
    size: Series
    inflow: Series


class Terms(NamedTuple):
    """For which growth, how many days ahead, from what numbers of each driver, and how far evidence reaches."""

    growths: Mapping[Driver, Growth]
    days: int
    drivers: Mapping[Driver, float]
    evidence_factor: float
    horizon_factor: float


class Course(NamedTuple):
    """A component's way: need by draw and day, in its unit; what it has by draw; on which day it runs out.

    `supported` is the number of days that evidence reaches, `why` what ends it. Days of running out are infinite
    where that is later than `supported`.
    """

    needs: Series
    capacity: Series | None
    sizes: Series | None
    out: Series
    supported: int
    why: str


def drawn(component: Component) -> Draws:
    """The draws of every plan."""
    shared = np.random.default_rng(_SEED).random(DRAWS)
    own = np.random.default_rng([_SEED, zlib.crc32(component.name.encode())])
    return Draws(shared, own.random(DRAWS), own.random(DRAWS), own.random(DRAWS))


def at_levels(**levels: float) -> Draws:
    """One draw with everything in its middle but what is named."""
    return Draws(*(np.array([levels.get(name, MIDDLE)]) for name in INPUTS))


def course(component: Component, terms: Terms, draws: Draws) -> Course:
    """The way of a component. Raises `Invalid` where a growth in numbers lacks today's number."""
    days = np.arange(terms.days + 1, dtype=np.float64)
    needs = _needs(component, terms, draws, days)
    supported, why = _supported(component, terms, days)
    sizes = component.size.at(draws.size) if component.size is not None else None
    capacity = sizes * component.ceiling if sizes is not None else None
    if capacity is None:
        out = np.full(len(needs), math.inf)
    else:
        over = needs[:, : supported + 1] > capacity[:, None]
        out = np.where(over.any(axis=1), over.argmax(axis=1), math.inf)
    return Course(needs, capacity, sizes, out, supported, why)


def units_needed(found: Course, most: Series) -> Series | None:
    """How many units bear needs, one for each draw."""
    if found.sizes is None:
        return None
    units: Series = np.ceil(most / found.sizes - 1e-9)
    return units


def _needs(component: Component, terms: Terms, draws: Draws, days: Series) -> Series:
    growth = component.growth or terms.growths[component.driver]
    season = component.season[: len(days)] if component.season is not None else np.ones(len(days))
    base = terms.drivers.get(component.driver)
    factor = growth.factor(days + component.age, draws.growth, base) * season[None, :]
    if component.inflow is not None:
        added = component.inflow.at(draws.inflow)[:, None] * (np.cumsum(factor, axis=1) - factor[:, :1])
        kept: Series = component.need.at(draws.need)[:, None] + added
        return kept
    return converted(component, component.need.at(draws.need)[:, None] * factor)


def converted(component: Component, offered: Series) -> Series:
    """What is needed for what is offered."""
    table = component.table
    if table is None:
        return offered
    inside = np.ceil(np.interp(offered, table.offered, table.needed) - 1e-9)
    beyond = offered * (table.needed[-1] / table.offered[-1])
    needed: Series = np.where(offered > table.offered[-1], np.ceil(beyond), inside)
    return needed


def _supported(component: Component, terms: Terms, days: Series) -> tuple[int, str]:
    """How many days ahead may be spoken of, and why no further; judged by the middle of what is expected."""
    last, why = int(days[-1]), ""
    if component.history is not None:
        factor = 1.0 if component.growth is not None else terms.horizon_factor
        reach = int(component.history * factor)
        if reach < last:
            last = reach
            measured = f"{component.history:.0f} days were measured"
            why = f"{measured}, which is enough for {reach} days ahead"
    if component.evidence is not None:
        most = terms.evidence_factor * component.evidence
        middle = _needs(component, terms, at_levels(), days)[0]
        over = np.flatnonzero(middle > converted(component, np.array([most]))[0] * (1 + 1e-9))
        if len(over) and int(over[0]) - 1 < last:
            last = max(int(over[0]) - 1, 0)
            why = _lacking(component, terms, days, most)
    return last, why


def _lacking(component: Component, terms: Terms, days: Series, most: float) -> str:
    kind = "load-tested" if component.tested else "measured"
    offered = _needs(component._replace(table=None), terms, at_levels(growth=HIGH, need=HIGH), days)[0]
    aim = float(offered.max()) / terms.evidence_factor
    top = aim * component.proof_scale
    steps = ",".join(f"{_round(top * part / _STEPS):g}" for part in range(1, _STEPS + 1))
    proof = component.proof.format(figure=f"{_round(top):g}", steps=steps)
    highest = _round(most / terms.evidence_factor)
    said = (
        f"the need passes {terms.evidence_factor:g} times the highest that was {kind}"
        f" ({highest:,g} {component.evidence_unit or component.unit}): no evidence beyond"
    )
    return f"{said}; {proof}" if proof else said


def _round(value: float) -> float:
    """Three digits."""
    return float(f"{value:.3g}")


def interval(values: Series) -> tuple[float, float, float]:
    """Low, middle and high of draws, some of which may be infinite."""
    low, middle, high = (float(np.quantile(values, level, method="inverted_cdf")) for level in (LOW, MIDDLE, HIGH))
    return low, middle, high
