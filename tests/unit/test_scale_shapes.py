"""Shapes of load through everything that decides: at most five flaps a day, and how many minutes were over capacity."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from atomic_guide.operations.scaling.calendar import Span
from atomic_guide.operations.scaling.decide.decider import Decider
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.forecast import HOUR
from atomic_guide.operations.scaling.lookahead import foresee
from atomic_guide.operations.scaling.model import WEB, Key, Seen
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from atomic_guide.operations.scaling.simulate import Run, Terms, Units, changes, score
from atomic_guide.operations.scaling.trace import Series, Trace
from tests.scaling_units import UNITS

pytestmark = pytest.mark.timeout(300)

TICK, DAY = 30.0, 86400.0
BERLIN = ZoneInfo("Europe/Berlin")
Shape = Callable[[float], float]


def at(text: str, zone: ZoneInfo | None = None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp()


MONDAY = at("2026-03-02")


def wave(moment: float, zone: ZoneInfo | None = None) -> float:
    """Few at night, many in the afternoon, by the clock of a zone."""
    local = datetime.fromtimestamp(moment, zone or UTC)
    return 1100 + 900 * math.sin(2 * math.pi * (local.hour + local.minute / 60 - 9) / 24)


def lectures(moment: float, zone: ZoneInfo | None = None) -> float:
    """From eight to six on working days, filling within a quarter of an hour."""
    local = datetime.fromtimestamp(moment, zone or UTC)
    if local.weekday() >= 5:
        return 250.0
    minute = 60 * local.hour + local.minute
    full = min(max((minute - 480) / 15, 0), 1) - min(max((minute - 1080) / 15, 0), 1)
    return 250 + 1750 * full


def hourly(period: float, busy: float) -> Shape:
    """Bursts of so many minutes each so many minutes, from eight to six, filling within three minutes."""

    def shape(moment: float) -> float:
        minute = moment % DAY / 60
        if not 480 <= minute < 1080:
            return 300.0
        since = minute % period
        return 500 + 2500 * (min(since / 3, 1) - min(max((since - busy) / 3, 0), 1))

    return shape


class Case(NamedTuple):
    """A shape over days, what may be said of it: minutes over capacity a day and paid over needed, at most."""

    shape: Shape
    days: float
    minutes: float
    cost: float
    begin: float = MONDAY
    history: int = 0
    zone: ZoneInfo | None = None
    spans: Sequence[Span] = ()


def broken(moment: float) -> float:
    """A term that ends after its first day."""
    return lectures(moment) * (0.3 if moment >= at("2026-03-03") else 1)


CASES = {
    "sine": Case(wave, 3, 1, 1.4),
    "step": Case(lambda moment: 800.0 if moment % DAY < DAY / 2 else 3200.0, 3, 4, 1.5),
    "ramp": Case(lambda moment: 500 + 3500 * (moment % DAY) / DAY, 3, 1, 1.4),
    "flash": Case(lambda moment: 4500.0 if 0.4 < moment % DAY / DAY < 0.45 else 700.0, 3, 5, 1.6),
    "weekend": Case(lectures, 4, 1, 1.8, at("2026-03-06"), 28),
    "change-of-time": Case(lambda moment: lectures(moment, BERLIN), 3, 2, 1.5, at("2026-03-28"), 28, BERLIN),
    "break": Case(broken, 3, 1, 1.9, MONDAY, 28),
    "break-told": Case(broken, 3, 1, 1.9, MONDAY, 28, None, [Span("break", at("2026-03-03"), at("2026-04-06"))]),
}


def run(case: Case, demand: Series, terms: Terms) -> Run:
    """What everything that decides would have had, with a forecast that is made anew each six hours."""
    settings = ScalingSettings(
        tick_seconds=TICK, quiet_hours="", web=FleetSettings(mode="auto", min=2, max=100, up_most=100, down_share=1.0)
    )
    decider, memory = Decider(settings, UNITS), Memory()
    units = Units(math.ceil(demand[0] / terms.unit), terms)
    ready, desired, reasons = np.empty(len(demand), np.int64), np.empty(len(demand), np.int64), {}
    fives = [case.shape(case.begin - HOUR * back / 12) for back in range(12 * 24 * case.history, 0, -1)]
    hours = np.array(fives).reshape(-1, 12).mean(axis=1).tolist()
    for tick in range(len(demand)):
        moment = case.begin + tick * TICK
        units.advance(tick)
        if tick:
            for made in decider.decide(
                Seen(moment, {Key(WEB, "demand"): float(demand[tick - 1])}), {WEB: units.fleet()}, memory
            ):
                if made.action != "hold":
                    units.set(made.after, tick)
                    reasons[tick] = made.reason
        ready[tick], desired[tick] = units.ready, units.desired
        if case.history and moment % HOUR == 0:
            if tick:
                hours.append(float(demand[tick - 120 : tick].mean()))
            if tick % 720 == 0:
                past = Trace(moment - HOUR * len(hours), HOUR, np.array(hours))
                memory.state.outlooks[WEB] = foresee(past, case.zone or ZoneInfo("UTC"), case.spans, Outlook(moment))[1]
        decider.study({WEB: units.fleet()}, memory)
    return Run(ready, desired, reasons)


@pytest.mark.parametrize("name", CASES)
def test_shapes(name: str) -> None:
    case = CASES[name]
    moments = case.begin + np.arange(int(case.days * DAY / TICK)) * TICK
    noise = np.random.default_rng(1).normal(1, 0.03, len(moments))
    demand = np.array([case.shape(moment) for moment in moments.tolist()]) * noise
    terms = Terms(tick=TICK, least=2, most=100)
    found = score(run(case, demand, terms), demand, terms)
    assert found.flaps_per_day <= 5
    assert found.violation_minutes_per_day <= case.minutes
    assert found.cost_ratio is not None
    assert found.cost_ratio <= case.cost


@pytest.mark.parametrize("begins", [0, 8], ids=["at-night", "with-the-first-lecture"])
@pytest.mark.parametrize(("period", "busy"), [(60, 30), (60, 45), (30, 15), (75, 55)])
def test_what_swings_by_the_hour_does_not_flap_from_the_first_day_on(period: float, busy: float, begins: int) -> None:
    """Without any history: the hours of each of the first days, the first one included."""
    case = Case(hourly(period, busy), 3, 0, 0, MONDAY + begins * HOUR)
    moments = case.begin + np.arange(int(case.days * DAY / TICK)) * TICK
    noise = np.random.default_rng(1).normal(1, 0.03, len(moments))
    demand = np.array([case.shape(moment) for moment in moments.tolist()]) * noise
    desired = run(case, demand, Terms(tick=TICK, least=2, most=100)).desired
    by_day = [changes(desired[int(day * DAY / TICK) :][: int(DAY / TICK)], TICK) for day in range(int(case.days))]
    assert max(flaps for _, flaps in by_day) <= 5, by_day
