"""Series that a test makes, and what rules say of them tick by tick, as the leader evaluates them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import NamedTuple

from atomic_guide.operations.alerts.evaluation import Alerts, Turn, evaluated
from atomic_guide.operations.alerts.rule import Rule
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.settings import RuleSettings
from atomic_guide.operations.alerts.sights import Sights
from atomic_guide.operations.alerts.state import Alert, Moment
from atomic_guide.operations.alerts.traces import Traces

TICK = 15.0
MONDAY = 1_799_625_600.0
"""2027-01-11, midnight in UTC."""

HOUR, DAY = 3600.0, 86_400.0
Series = tuple[str, str, str]
Shape = Callable[[float], float | None]


class Ticked(NamedTuple):
    """An evaluation and when it was."""

    at: float
    turn: Turn

    def states(self) -> dict[str, str]:
        """Of its alerts, by the rule's name and what is beside it."""
        return {shown(alert): alert.state for alert in self.turn.alerts.values()}


def shown(alert: Alert) -> str:
    """A rule's name, and the values of the labels that tell its alerts apart."""
    own = [value for name, value in alert.labels if name not in {"alertname", "severity"}]
    return " ".join([alert.rule, *own])


def rules(*given: RuleSettings, only: Sequence[str] = ()) -> list[Rule]:
    """The rules in force with these settings; those that are named, if any are."""
    found = rules_of(given)
    assert found.faults == []
    return [rule for rule in found.enabled if not only or rule.name in only]


def fill(traces: Traces, series: Mapping[Series, Shape], times: Iterable[float]) -> None:
    """Measure series at times; a shape that gives None was not measured."""
    for at in times:
        for name, shape in series.items():
            value = shape(at)
            if value is not None:
                traces.note(at, name, value)


def ticks(since: float, until: float) -> list[float]:
    """The moments of evaluation in a time."""
    return [since + TICK * number for number in range(int((until - since) // TICK))]


def run(
    judged: Sequence[Rule], traces: Traces, times: Sequence[float], zone: tzinfo = UTC, *, grace: bool = False
) -> list[Ticked]:
    """Evaluate rules at times over series that are all there."""
    sights = Sights(traces, traces, zone)
    alerts: Alerts = {}
    found: list[Ticked] = []
    before = times[0] - TICK
    for at in times:
        turn = evaluated(judged, sights.at(at), alerts, Moment(at, at - before, grace))
        alerts, before = turn.alerts, at
        found.append(Ticked(at, turn))
    return found


def first(found: Sequence[Ticked], name: str, state: str) -> float | None:
    """When an alert was in a state for the first time."""
    return next((one.at for one in found if one.states().get(name) == state), None)


def ended(found: Sequence[Ticked], name: str) -> float | None:
    """When an alert resolved for the first time."""
    return next((one.at for one in found if name in {shown(alert) for alert in one.turn.resolved}), None)
