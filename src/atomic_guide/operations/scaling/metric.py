"""What a source declares of each series: its unit, its kind, and what it says. The page docs/metrics.md lists them.

`written` puts a figure of a series into words with that unit. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


Units = Mapping[tuple[str, str], str]
"""The unit of each metric by component and name (`UNITS` of app/sources/declared.py)."""

QUANTILE = re.compile(r"(.+)_p(50|95|99)")
"""A quantile of durations is named after them: `latency_p95`."""

_BYTES = ("B", "kB", "MB", "GB", "TB")
_MINUTES, _HOURS = 120.0, 7200.0
"""Seconds from which people speak of minutes, and of hours."""

_WHOLE = 1000
"""Nobody reads parts of more than that."""

FEW = 10
"""A figure for each of fewer tells of chance, or of what there would be without them: nobody should count on it."""


def written(units: Units, component: str, metric: str, value: float) -> str:
    """A figure with the unit of its metric: "35.6 sockets", "6.1%"; a plain number where none is declared."""
    quantile = QUANTILE.fullmatch(metric)
    unit = units.get((component, quantile[1] if quantile else metric), "")
    if unit == "share":
        return f"{100 * value:.3g}%"
    if unit == "s":
        return lasting(value)
    noun, slash, per = unit.partition("/")
    if noun == "bytes":
        return f"{_bytes(value)}{slash}{per}"
    # Of money the currency is not known here, and a switch counts nothing.
    if "money" in unit or unit == "switch":
        return _number(value)
    return f"{_number(value)} {_one(noun) if value == 1 else noun}{slash}{per}".rstrip()


def lasting(seconds: float) -> str:
    """A length of time: "35 ms", "1.5 s", "10 min", "4 h"."""
    if 0 < seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < _MINUTES:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < _HOURS else f"{seconds / 3600:.4g} h"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.4g}"


def _bytes(value: float) -> str:
    power = 0
    while abs(value) >= _WHOLE and power < len(_BYTES) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {_BYTES[power]}"


def _one(noun: str) -> str:
    """The noun of one: "process", "socket"; "s" is a second."""
    if noun.endswith("sses"):
        return noun.removesuffix("es")
    return noun.removesuffix("s") or noun
