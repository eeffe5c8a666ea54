"""What an act has achieved: windows before and after it, and a verdict against what was expected. Pure.

The window before ends when the decision is made. The one after begins when the units are ready and is as long as the
first, longer for fleets that were slow to start, and ends no sooner than the expectation is due. A verdict is given
when that has passed; until then it is `too early`, and what was not measured is `no data`: neither counts as a failure.

**Correction for the load.** With `r = load after / load before`, and a metric that would have grown in proportion to
the load had nothing been done, `without = before * r` is what would have been seen without the act, and `at_old_load =
after / r` what the act would have achieved at the load it was made for. The assumption holds for utilisation, queue
lengths and sockets; durations near saturation grow faster than the load, so there it is too modest a correction: an act
is then rather called `missed` than praised wrongly. Loads that fall below a twentieth of one another are not compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from atomic_guide.operations.scaling.metric import Units, written
from atomic_guide.operations.scaling.model import Decision, Event, Expected

Outcome = Literal["met", "met anyway", "outgrown", "missed", "too early", "no data", "nothing expected"]
"""`met anyway`: the load fell so far that it would have been so without the act; `outgrown`: missed, but kept for the
load that the act was made for."""

WINDOW_SECONDS = 300.0
"""Twenty ticks: a mean over fewer is moved by a single burst; over more, by the next change."""

_WINDOW_MOST_SECONDS = 1800.0
_DUE_MOST_SECONDS = 3600.0
_COVERED = 0.5
"""What of a window must have been measured."""

_COMPARABLE = 20.0
_HOUR = 3600.0


class Span(NamedTuple):
    """A window: from its begin to before its end, epoch seconds."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.until - self.since


class Window(msgspec.Struct, frozen=True):
    """What was measured in a window; None is no data. Durations in seconds, shares from 0 to 1."""

    since: float
    until: float
    value: float | None = None
    """Of the expectation's metric, mean."""
    load: float | None = None
    """What the component was asked to do, mean."""
    response_mean: float | None = None
    response_p95: float | None = None
    """Of requests of the web."""


class Verdict(msgspec.Struct, frozen=True):
    """What the windows say. `success` is None where nothing can be said."""

    outcome: Outcome
    success: bool | None
    why: str
    before: Window | None = None
    after: Window | None = None
    load_ratio: float | None = None
    without: float | None = None
    at_old_load: float | None = None
    cost_per_hour: float | None = None
    """The difference that the change of units makes, in the currency of `unit_price`; None without a price."""


class Rate(msgspec.Struct, frozen=True):
    """How many acts did what they should; `rate` is None where none has been judged: no events are no failure."""

    judged: int
    succeeded: int
    rate: float | None
    undecided: int


class Effectiveness(msgspec.Struct, frozen=True):
    """How the acts of one rule went."""

    rule: str
    events: int
    rate: Rate
    outcomes: dict[str, int]
    seconds: float | None
    """From the begin of an act to its units being ready, mean of those that were done."""


def spans(event: Event) -> tuple[Span, Span] | None:
    """The windows of an act that is done; None where it is not."""
    decision = event.decision
    if event.state != "done" or event.ended_at is None:
        return None
    took = max(event.ended_at - (event.started_at or event.ended_at), 0.0)
    length = min(max(WINDOW_SECONDS, took), _WINDOW_MOST_SECONDS)
    due = decision.at + min(decision.expected.within, _DUE_MOST_SECONDS) if decision.expected else 0.0
    end = max(event.ended_at + length, due)
    return Span(decision.at - WINDOW_SECONDS, decision.at), Span(end - length, end)


def judge(decision: Decision, before: Window, after: Window, unit_price: float, units: Units) -> Verdict:
    """The verdict on an act whose windows have passed, in words with the `units` of measurements."""
    cost = (decision.after - decision.before) * unit_price if unit_price else None
    told = Verdict("no data", None, "", before, after, cost_per_hour=cost)
    expected = decision.expected
    if expected is None:
        return msgspec.structs.replace(told, outcome="nothing expected", success=True, why="the units are there")
    if after.value is None:
        why = f"{_name(expected)} was not measured after the act"
        return msgspec.structs.replace(told, why=why)
    ratio = _ratio(before.load, after.load)
    told = msgspec.structs.replace(
        told,
        load_ratio=ratio,
        without=before.value * ratio if ratio is not None and before.value is not None else None,
        at_old_load=after.value / ratio if ratio else None,
    )
    return _compared(told, decision, expected, (after.value, units))


def too_early(until: float, at: float) -> Verdict:
    """The verdict on an act whose second window has not passed."""
    return Verdict("too early", None, f"the window after it ends in {until - at:.0f} s")


def covers(values: Sequence[float], seconds: float, step: float) -> bool:
    """Whether enough of a window was measured; `values` are those that were, one for each step of so many seconds."""
    return bool(values) and len(values) * step >= _COVERED * seconds


def rate(events: Iterable[Event]) -> Rate:
    """How many of these acts did what they should.

    Failed and rolled back ones did not. What is under way, watched only, held back, too early or without data is
    undecided.
    """
    judged = succeeded = undecided = 0
    for event in events:
        success = _success(event)
        if success is None:
            undecided += event.state in {"acting", "done"}
            continue
        judged += 1
        succeeded += success
    return Rate(judged, succeeded, succeeded / judged if judged else None, undecided)


def shadow_rate(events: Iterable[Event]) -> Rate:
    """The same for changes that were only watched."""
    verdicts = [(event.verdict or {}).get("success") for event in events if event.state == "shadowed"]
    judged = [verdict for verdict in verdicts if isinstance(verdict, bool)]
    return Rate(len(judged), sum(judged), sum(judged) / len(judged) if judged else None, len(verdicts) - len(judged))


def by_rule(events: Iterable[Event]) -> list[Effectiveness]:
    """How the acts of each rule went; by the rules' names."""
    rules: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.state in {"done", "failed", "rolled_back"}:
            rules[event.decision.rule].append(event)
    return [_effectiveness(rule, acts) for rule, acts in sorted(rules.items())]


def _effectiveness(rule: str, acts: list[Event]) -> Effectiveness:
    outcomes: dict[str, int] = defaultdict(int)
    for event in acts:
        judged = str((event.verdict or {}).get("outcome", "too early"))
        outcomes[judged if event.state == "done" else event.state] += 1
    took = [
        event.ended_at - event.started_at
        for event in acts
        if event.state == "done" and event.ended_at is not None and event.started_at is not None
    ]
    return Effectiveness(rule, len(acts), rate(acts), dict(outcomes), sum(took) / len(took) if took else None)


def shadow_verdict(decision: Decision, demand: Sequence[float], unit: float) -> Verdict:
    """Whether a change that was only watched would have been right for the demand that followed.

    Adding was right where demand passed what `before` units do in any measured tick; taking away, where it stayed
    within what `after` units do in all of them.
    """
    if not demand or unit <= 0:
        return Verdict("no data", None, "the demand that followed was not measured")
    most = max(demand)
    needed = most / unit
    grows = decision.after > decision.before
    right = most > decision.before * unit if grows else most <= decision.after * unit
    why = (
        f"the demand that followed needed up to {needed:.1f} units; {decision.before} to {decision.after} were proposed"
    )
    return Verdict("met" if right else "missed", right, why)


def _compared(told: Verdict, decision: Decision, expected: Expected, now: tuple[float, Units]) -> Verdict:
    value, units = now

    def said(figure: float) -> str:
        return written(units, expected.component, expected.metric, figure)

    is_now = f"{_name(expected)} is {said(value)}"
    limit = f"{'at most' if expected.below else 'at least'} {said(expected.limit)}"
    if _keeps(expected, value):
        if decision.after > decision.before and told.without is not None and _keeps(expected, told.without):
            why = f"{is_now}, {limit}; at this load it would have been {said(told.without)} without the act"
            return msgspec.structs.replace(told, outcome="met anyway", success=True, why=why)
        return msgspec.structs.replace(told, outcome="met", success=True, why=f"{is_now}, {limit}")
    if told.at_old_load is not None and _keeps(expected, told.at_old_load):
        why = f"{is_now}, not {limit}; at the load before it would be {said(told.at_old_load)}"
        return msgspec.structs.replace(told, outcome="outgrown", success=True, why=why)
    return msgspec.structs.replace(told, outcome="missed", success=False, why=f"{is_now}, not {limit}")


def _keeps(expected: Expected, value: float) -> bool:
    return value <= expected.limit if expected.below else value >= expected.limit


def _ratio(before: float | None, after: float | None) -> float | None:
    if not before or not after or not 1 / _COMPARABLE <= after / before <= _COMPARABLE:
        return None
    return after / before


def _success(event: Event) -> bool | None:
    if event.state in {"failed", "rolled_back"}:
        return False
    if event.state != "done" or event.verdict is None:
        return None
    success = event.verdict.get("success")
    return success if isinstance(success, bool) else None


def _name(expected: Expected) -> str:
    part = f" of {expected.part}" if expected.part else ""
    return f"{expected.component} {expected.metric}{part}"
