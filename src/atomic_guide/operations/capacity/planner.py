"""A plan from what is known today, in one call. Pure; the same for the command, the page and a trace."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.component import Prices, Today
from atomic_guide.operations.capacity.growth import DRIVERS, NONE, Driver, Growth, read_growth
from atomic_guide.operations.capacity.limits import HORIZON
from atomic_guide.operations.capacity.plan import (
    Act,
    ComponentPlan,
    Cost,
    Until,
    acts,
    component_plan,
    months_of,
    reckon_all,
    total_cost,
)
from atomic_guide.operations.capacity.reckon import DRAWS, Terms
from atomic_guide.operations.capacity.sensitivity import Swing, tornado
from atomic_guide.operations.capacity.settings import CapacitySettings

MEASURED = "measured"
"""The growth that each component has shown itself."""

_HORIZON = re.compile(r"(\d{1,3}) ?(m|y)", re.ASCII)


class Asked(NamedTuple):
    """For which growth, how many months ahead, from when (epoch seconds).

    `or_nothing`: where nothing can be planned yet, a plan without components says why; otherwise that is an error.
    """

    growth: str
    months: int
    at: float
    or_nothing: bool = False


class First(msgspec.Struct, frozen=True):
    """What runs out first."""

    component: str
    runs_out: Until


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A capacity plan; every interval holds nine of ten chances."""

    made_at: str
    growth: dict[str, str]
    horizon_months: int
    until: str
    first: First | None
    actions: list[Act]
    components: list[ComponentPlan]
    cost: Cost | None
    sensitivity: list[Swing]
    missing: dict[str, str]
    drivers: dict[str, float | None]
    notes: list[str]
    rules: list[str]


def read_horizon(text: str, most: int) -> int:
    """Months of a horizon such as 12m or 2y, so many at most. Raises `Invalid`."""
    match = _HORIZON.fullmatch(text.strip())
    months = int(match[1]) * (12 if match[2] == "y" else 1) if match else 0
    HORIZON.note(months)
    refusal = Invalid(f"{text[:20]!r} is no horizon of 1 to {most} months; write 12m or 2y")
    if months > most:
        raise HORIZON.over(refusal)
    if not months:
        raise refusal
    return months


def normal(share: float) -> float:
    """The normal quantile of a share."""
    return NormalDist().inv_cdf(share)


def grown(asked: Asked, settings: CapacitySettings) -> dict[Driver, Growth]:
    """The growth that was asked for, by driver. Raises `Invalid` with the column for one that is not understood."""
    if asked.growth == MEASURED:
        return dict.fromkeys(DRIVERS, NONE)
    return read_growth(asked.growth, settings.growth_spread)


def make_plan(today: Today, asked: Asked, settings: CapacitySettings, prices: Prices) -> Plan:
    """The plan. Raises `Invalid` for a growth that is not understood, and where there is no component to plan."""
    growths = grown(asked, settings)
    if not today.components and not asked.or_nothing:
        raise Invalid(f"there is nothing to plan from yet: {_gaps(today.missing)}; or give demand as --trace FILE.csv")
    calendar = months_of(asked.at, asked.months)
    terms = Terms(growths, calendar.spans[-1][1], today.drivers, settings.evidence_factor, settings.horizon_factor)
    ways = reckon_all(today, terms, prices)
    components = [component_plan(way, calendar, today.drivers) for way in ways]
    # Dates sort as text, and what runs out later than the evidence sorts last.
    known = [one for one in components if one.runs_out.low is not None]
    first = min(known, key=lambda one: (one.runs_out.middle or "later", str(one.runs_out.low)), default=None)
    return Plan(
        made_at=iso(asked.at),
        growth={driver: MEASURED if asked.growth == MEASURED else growths[driver].text for driver in DRIVERS},
        horizon_months=asked.months,
        until=str(calendar.day(calendar.spans[-1][1])),
        first=First(first.name, first.runs_out) if first is not None else None,
        actions=acts(ways, calendar, settings),
        components=components,
        cost=total_cost(ways, calendar),
        sensitivity=tornado(today, terms, prices, calendar),
        missing=today.missing,
        drivers={driver: _known(today.drivers.get(driver)) for driver in DRIVERS},
        notes=list(today.notes),
        rules=rules(settings),
    )


def rules(settings: CapacitySettings) -> list[str]:
    """How a plan is made and where it ends, in words."""
    return [
        f"intervals hold nine of ten of {DRAWS:,} draws with one seed",
        f"the need is what the highest quarter of an hour of a week passes in {1 - settings.peak_share:.0%} of weeks",
        "a need grows in proportion to its driver",
        f"nothing is said beyond {settings.evidence_factor:g} times the highest load that was measured or tested",
        f"nothing is said further ahead than {settings.horizon_factor:g} times as long as was measured",
        "a measured trend is carried on for as long as it was measured",
    ]


def _gaps(missing: Mapping[str, str]) -> str:
    """Why nothing is known, each reason once with all that it concerns."""
    concerned: dict[str, list[str]] = {}
    for name, why in sorted(missing.items()):
        concerned.setdefault(why, []).append(name)
    told = [f"{', '.join(names)}: {why}" for why, names in concerned.items()]
    return "; ".join(told) or "no component was measured"


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
