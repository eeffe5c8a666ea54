"""The names that conditions may use, and which measured series each of them stands for. Pure.

`COMPONENT_METRIC` is a metric of docs/metrics.md, such as `queues_oldest`; it has a value for each part (each queue,
shard, fleet or feature), told apart by the label of that name. Of durations there are `..._p50`, `..._p95` and
`..._p99` beside the mean. `previous_day_NAME` and `previous_week_NAME` are what NAME was then (days.py).
"""

from __future__ import annotations

import difflib
from typing import Literal, NamedTuple

from atomic_guide.operations.alerts.tree import Match, Matcher, Name, Refused

When = Literal["now", "previous_day", "previous_week"]

_VALUES: dict[tuple[str, str], str] = {
    ("web", ""): "processes demand utilisation throughput errors in_flight memory loop_lag shedding",
    ("web", "feature"): "work",
    ("workers", ""): "processes demand utilisation",
    ("workers", "queue"): "work",
    ("queues", "queue"): "backlog oldest throughput dead_letters",
    ("rooms", ""): "sockets fullest_room largest_room fullest_process deliveries",
    ("database", "shard"): "lock_wait write_share lag utilisation readers_busy writers_busy",
    ("database", "replica"): "replica_lag",
    ("disk", ""): "utilisation",
    ("backups", ""): "overdue",
    ("assets", "store"): "stored waiting failed behind",
    ("assets", ""): "deletions",
    ("limit", "limit"): "usage refused",
    ("regions", ""): "refused",
    ("regions", "region"): "away drained failovers",
    ("cache", ""): "hit_share loads stale negative skipped garbage evicted memory shared unheard",
    ("cache", "layer"): "hits",
    ("scaling", ""): "success_rate events_per_hour leader",
    ("scaling", "fleet"): "forecast_wrong",
    (
        "costs",
        "",
    ): "daily stored database_bytes store_reads store_repeats store_writes launches messages lecture_seconds",
    ("costs", "fleet"): "hourly efficiency units",
    ("costs", "tenant"): "tenant_work tenant_sent tenant_stored",
    ("costs", "feature"): "feature sent",
}
_DURATIONS: dict[tuple[str, str], str] = {
    ("web", ""): "latency",
    ("queues", "queue"): "run",
    ("database", "shard"): "query write",
    ("cache", ""): "load lag",
}
"""By component and the label of its parts, which is empty where there is one series. tests/unit/test_alert_names.py
compares both with what sources declare."""

LIMIT = "limit"
"""The word that stands for the number of that name in a rule."""

_QUANTILES = ("", "_p50", "_p95", "_p99")


class Measured(NamedTuple):
    """Which series a name stands for: of one component, or of all (`component` is None); `label` is that of its parts.

    `daily` grows from midnight to midnight, so that a day is compared by how much of it has passed.
    """

    component: str | None
    metric: str
    label: str = ""
    daily: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """What tells its series apart."""
        if self.component is None:
            return "component", "part"
        return (self.label,) if self.label else ()


class Selector(NamedTuple):
    """The series that one name in a condition reads, and when; `fixed` labels have one value, `kept_out` not that.

    `free` are the labels that are left: its values are told apart by them.
    """

    measured: Measured
    when: When = "now"
    fixed: tuple[tuple[str, str], ...] = ()
    kept_out: tuple[tuple[str, str], ...] = ()

    @property
    def free(self) -> tuple[str, ...]:
        """The labels without a fixed value."""
        fixed = dict(self.fixed)
        return tuple(label for label in self.measured.labels if label not in fixed)

    def takes(self, component: str, part: str) -> bool:
        """Whether a series of the metric is meant."""
        values = self._labelled(component, part)
        return all(values[label] == value for label, value in self.fixed) and all(
            values[label] != value for label, value in self.kept_out
        )

    def place(self, component: str, part: str) -> tuple[str, ...]:
        """The values of the free labels of a series."""
        values = self._labelled(component, part)
        return tuple(values[label] for label in self.free)

    def _labelled(self, component: str, part: str) -> dict[str, str]:
        return {"component": component, "part": part, self.measured.label: part}


def _all_measured() -> dict[str, Measured]:
    found = {}
    for (component, label), names in _VALUES.items():
        for name in names.split():
            found[f"{component}_{name}"] = Measured(component, name, label)
    for (component, label), names in _DURATIONS.items():
        for name in names.split():
            for quantile in _QUANTILES:
                found[f"{component}_{name}{quantile}"] = Measured(component, f"{name}{quantile}", label)
    return found


_DAILY = Measured("costs", "daily", daily=True)

NAMES: dict[str, Measured] = {
    **_all_measured(),
    "costs_daily": _DAILY,
    "daily_cost": _DAILY,
    "resource_utilization": Measured(None, "utilisation"),
}
"""Every name for what is measured now."""

_PREFIXES: tuple[When, ...] = ("previous_day", "previous_week")
_SHORT = {"previous_day_cost": "previous_day_daily_cost", "previous_week_cost": "previous_week_daily_cost"}


def resolve(node: Name) -> Selector:
    """Which series a name reads. Raises `Refused` for a name or a label that there is not."""
    name = _SHORT.get(node.name, node.name)
    when: When = next((prefix for prefix in _PREFIXES if name.startswith(f"{prefix}_")), "now")
    plain = name if when == "now" else name.removeprefix(f"{when}_")
    measured = NAMES.get(plain)
    if measured is None:
        said = "the rule sets no limit" if node.name == LIMIT else f"{node.name} is not measured; {_near(node.name)}"
        raise Refused(said, node.column)
    fixed: dict[str, str] = {}
    for matcher in node.matchers:
        _check(matcher, node.name, measured)
        if matcher.match == "=" and fixed.setdefault(matcher.label, matcher.value) != matcher.value:
            raise Refused(f"{matcher.label} cannot have two values at once", matcher.column)
    return Selector(measured, when, tuple(sorted(fixed.items())), _matched(node.matchers, "!="))


def _check(matcher: Matcher, name: str, measured: Measured) -> None:
    if matcher.label in measured.labels:
        return
    there = f"it has {' and '.join(measured.labels)}" if measured.labels else "there is one series of it"
    raise Refused(f"{name} has no label {matcher.label}; {there}", matcher.column)


def _matched(matchers: tuple[Matcher, ...], match: Match) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({(one.label, one.value) for one in matchers if one.match == match}))


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, [*NAMES, *_SHORT], n=1)
    return f"did you mean {near[0]}?" if near else "docs/alerts.md lists what is"
