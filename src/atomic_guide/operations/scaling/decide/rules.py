"""Declared rules over windows: each says how many units it wants for its fleet, or why it does not count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from atomic_guide.operations.scaling.decide.causes import CAUSES, Finding
from atomic_guide.operations.scaling.decide.memory import State
from atomic_guide.operations.scaling.decide.windows import Quantile, Window
from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.metric import Units, lasting, written
from atomic_guide.operations.scaling.model import DATABASE, QUEUES, REPLICAS, WORKERS, Expected, Key, Seen
from atomic_guide.operations.scaling.settings import RuleSettings

_CAUSE_SECONDS = 300.0
"""Causes are judged by their median over five minutes, as durations are."""

_CAUSE_METRICS = {
    (DATABASE, "write_share"), (DATABASE, "lock_wait"), (DATABASE, "utilisation"),
    (QUEUES, "backlog"), (QUEUES, "throughput"), (QUEUES, "oldest"), (WORKERS, "utilisation"),
}  # fmt: skip

_EXPECTED_SECONDS = 600.0
"""Beside the time of a start: how long a rule's action has to show its effect."""


class Read(NamedTuple):
    """A rule read for one part: whether it holds (None: too little was measured), and the figure that says so."""

    rule: RuleSettings
    part: str
    holds: bool | None
    value: float | None


class Rules:
    """The rules in force, read at each tick. What they remember is in the state."""

    def __init__(self, rules: Iterable[RuleSettings], tick: float, quantile: Quantile, units: Units) -> None:
        self._rules = tuple(rules)
        self._tick = tick
        self._quantile = quantile
        self._units = units

    def note(self, seen: Seen, state: State) -> None:
        """Add what is seen to the windows of every rule and every cause."""
        for rule in self._rules:
            for key in self._keys(rule, seen):
                self._add(state, f"{rule.name}/{key.part}", key, rule.for_seconds, seen)
        for key in seen.values:
            if (key.component, key.metric) in _CAUSE_METRICS:
                self._add(state, _cause_name(key), key, _CAUSE_SECONDS, seen)
        _forget(state, seen.at)

    def read(self, seen: Seen, state: State) -> Iterator[Read]:
        """What each rule says now of each of its parts."""
        for rule in self._rules:
            for name, window in list(state.windows.items()):
                if name.startswith(f"{rule.name}/"):
                    yield self._read(rule, name.partition("/")[2], window, seen.at)

    def heard(self, read: Iterable[Read], fleet: str, standing: int, delay: float, state: State) -> Heard:
        """What the rules say for a fleet that has, or will have, `standing` units."""
        wishes, leaves = [], []
        for one in read:
            if fleet_of(one.rule, one.part) != fleet:
                continue
            if one.rule.above is not None and one.holds:
                reason = self._reason(one, "over", one.rule.above)
                wishes.append(self._wish(one, reason, (standing, delay), state))
            if one.rule.below is not None and one.holds:
                why = self._reason(one, "under", one.rule.below)
                inputs = {_series(one): one.value}
                leaves.append(Leave(standing - one.rule.units, one.rule.name, why, one.rule.action, inputs))
        return Heard(tuple(wishes), tuple(leaves))

    def _reason(self, one: Read, beyond: str, limit: float) -> str:
        rule = one.rule
        share = "the median" if rule.quantile == 0.5 else f"p{100 * rule.quantile:g}"  # noqa: PLR2004 - a half
        value, bound = (
            written(self._units, rule.component, rule.metric, figure) for figure in (one.value or 0.0, limit)
        )
        return f"{share} of {_series(one)} is {value} and has been {beyond} {bound} for {lasting(rule.for_seconds)}"

    def _wish(self, one: Read, reason: str, terms: tuple[int, float], state: State) -> Wish:
        rule, (standing, delay) = one.rule, terms

        def median(component: str, metric: str, part: str = "") -> float | None:
            window = state.windows.get(_cause_name(Key(component, metric, part)))
            return window.quantile(0.5, state.at - _CAUSE_SECONDS, self._quantile) if window else None

        check = CAUSES.get(rule.cause)
        found = check(one.part, median) if check else Finding({})
        clear = rule.clear if rule.clear is not None else rule.above
        expected = Expected(
            rule.component, rule.metric, clear or 0.0, delay + rule.for_seconds + _EXPECTED_SECONDS, one.part
        )
        against = found.against + (f"; what would help: {found.instead}" if found.instead else "")
        return Wish(
            standing + rule.units,
            rule.name,
            reason,
            rule.urgency,
            rule.action,
            {_series(one): one.value, **found.inputs},
            expected,
            against,
        )

    def _read(self, rule: RuleSettings, part: str, window: Window, at: float) -> Read:
        if not window.full(at, rule.for_seconds, self._tick):
            return Read(rule, part, None, None)
        since = at - rule.for_seconds
        value = window.quantile(rule.quantile, since, self._quantile)
        if value is None:
            return Read(rule, part, None, None)
        if rule.above is not None:
            limit = rule.clear if window.holds and rule.clear is not None else rule.above
            window.holds = value > limit
        elif rule.below is not None:
            limit = rule.clear if window.holds and rule.clear is not None else rule.below
            window.holds = value < limit
        return Read(rule, part, window.holds, value)

    def _keys(self, rule: RuleSettings, seen: Seen) -> list[Key]:
        if rule.part != "*":
            key = Key(rule.component, rule.metric, rule.part)
            return [key] if key in seen.values else []
        return [key for key in seen.values if key[:2] == (rule.component, rule.metric) and key.part]

    def _add(self, state: State, name: str, key: Key, length: float, seen: Seen) -> None:
        window = state.windows.setdefault(name, Window())
        counts: Mapping[int, int] | None = seen.histograms.get(key)
        window.add(seen.at, length, seen.values[key], counts)


def fleet_of(rule: RuleSettings, part: str) -> str:
    """The fleet that a rule changes for a part of its series."""
    return rule.fleet + part if rule.fleet == REPLICAS else rule.fleet


def _cause_name(key: Key) -> str:
    return f"cause:{key.component}.{key.metric}/{key.part}"


def _forget(state: State, at: float) -> None:
    """Windows of parts that are gone: a shard that was merged, a process that ended."""
    for name in [name for name, window in state.windows.items() if not window.times or window.times[-1] < at - 86400]:
        del state.windows[name]


def _series(one: Read) -> str:
    return f"{one.rule.component}.{one.rule.metric}" + (f"[{one.part}]" if one.part else "")
