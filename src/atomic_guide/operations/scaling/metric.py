"""What a source declares of each series: its unit, its kind, and what it says. The page docs/metrics.md lists them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["value", "durations"]


class Metric(NamedTuple):
    """One metric of a component. `part` names what its series are apart by: a queue, a shard; empty for one series.

    `durations` have a histogram behind them: their value is a mean, and p50, p95 and p99 can be asked for.
    """

    component: str
    name: str
    unit: str
    what: str
    part: str = ""
    kind: Kind = "value"
