"""What components are made from, and what every component of a recorded load has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity import peaks
from atomic_guide.operations.capacity.component import Component
from atomic_guide.operations.capacity.growth import Driver, Growth
from atomic_guide.operations.capacity.peaks import Peak
from atomic_guide.operations.capacity.points import Taken
from atomic_guide.operations.capacity.record import Load, Record
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.scaling.model import Mode

TOO_LITTLE = "there are not two weeks of it on record in which most days were measured"

_GAPS = 0.9
"""Below this share of the time, what was not measured is told."""


class Fleet(NamedTuple):
    """Units of a fleet: how many run, and how many its bounds allow; in the mode `auto` those come by themselves."""

    units: int
    ceiling: int
    least: int
    mode: Mode | None = None


class Installed(NamedTuple):
    """What runs here. `space` is bytes for lectures and databases, with those that they take; `memory` the machine's.

    Both are None where they are not known, on servers elsewhere.
    """

    web: Fleet
    workers: Fleet
    replicas: Mapping[str, Fleet]
    slots: int
    room_sockets: int
    process_sockets: int
    space: float | None
    memory: float | None
    drivers: Mapping[Driver, float]


class Sight(NamedTuple):
    """Everything that components are made from."""

    record: Record
    installed: Installed
    settings: CapacitySettings
    tests: Taken | None
    ahead: int
    trends: bool


class Lacking(NamedTuple):
    """A component that nothing can be said of, and why."""

    name: str
    why: str


Part = Component | Lacking


def loaded(sight: Sight, load: Load) -> Component:
    """A component of a load, before it is named."""
    return of_load(load, sight.record.kinds(0, sight.ahead + 1), trends=sight.trends)


def of_load(load: Load, ahead: peaks.Numbers, *, trends: bool) -> Component:
    """What a load says of its component: need, season, history, gaps. `ahead` are kinds of the days from now on."""
    peak = load.peak
    return Component(
        name="", what="", unit="", driver="users", need=peak.need, size=None, units=1, ceiling=1, kind="add_process",
        age=peak.age, history=load.history, season=peaks.season(ahead, load.effects), notes=_told(load, peak, ahead),
        growth=own_growth(load) if trends else None,
    )  # fmt: skip


def own_growth(load: Load | None) -> Growth:
    """The growth that a load has shown. Raises `Invalid` where it was not measured for long enough."""
    shown = peaks.trend(load.days) if load is not None else None
    if shown is None:
        raise Invalid(
            f"a growth is measured over at least {peaks.TREND_WEEKS} usual weeks, and there are fewer; say it, such as"
            " --growth 2x/year"
        )
    return Growth(compound=True, rate=shown, text="measured", assumed=False)


def _told(load: Load, peak: Peak, ahead: peaks.Numbers) -> tuple[str, ...]:
    notes = [f"the peak is that of {peak.weeks} weeks"]
    if load.days.measured < _GAPS:
        notes.append(f"{1 - load.days.measured:.0%} of the time since the first measurement was not measured")
    usual = peaks.reference(load.days.kinds)
    if peak.unusual and len(set(load.days.kinds[-7 * peaks.WEEKS :].tolist())) > 1:
        notes.append(f"hardly any {peaks.named([usual])} week was measured: the peak is that of other weeks")
    unknown = sorted(set(ahead.tolist()) - set(load.effects))
    if unknown:
        notes.append(f"days ahead of a kind that was not measured count as usual ones: {peaks.named(unknown)}")
    if seen := {kind: effect for kind, effect in load.effects.items() if effect}:
        shares = (f"{peaks.named([kind])} {np.exp(effect):.0%}" for kind, effect in seen.items())
        notes.append(f"beside usual days: {', '.join(shares)}")
    return tuple(notes)
