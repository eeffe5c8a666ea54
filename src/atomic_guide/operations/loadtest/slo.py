"""Objectives of a load test: how they are written, and whether they were met. Pure.

p95=300ms,errors=1%            over all scenarios, and each latency for each scenario of the mix
message:p99=1s                 one scenario
delivery:p95=500ms             from a message to its arrival at the sockets of the room
throughput=190                 at least so many arrivals completed in a second
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from atomic_guide.errors import Invalid

Metric = Literal["latency", "mean", "errors", "throughput"]

_UNITS = {"ms": 1e-3, "s": 1.0, "us": 1e-6, "m": 60.0}
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(us|ms|s|m)")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
OVERALL = "all"
DELIVERY = "delivery"


class Objective(msgspec.Struct, frozen=True):
    """One bound. `about` is a scenario, `delivery`, or `all`; `bound` is in seconds, a share, or arrivals a second."""

    about: str
    metric: Metric
    bound: float
    quantile: float = 0.0

    @property
    def name(self) -> str:
        """As it is written, without the bound."""
        what = f"p{self.quantile * 100:g}" if self.metric == "latency" else self.metric
        return what if self.about == OVERALL else f"{self.about}:{what}"

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.name}={shown(self, self.bound)}"


class Outcome(msgspec.Struct, frozen=True):
    """An objective and what was measured; None where nothing was, which is not met."""

    objective: str
    bound: float
    measured: float | None
    met: bool
    text: str


def parse(text: str, scenarios: Iterable[str]) -> list[Objective]:
    """The objectives of a text such as `p95=300ms,message:p99=1s,errors=1%`. Raises `Invalid` naming the part."""
    known = (*scenarios, DELIVERY, OVERALL)
    return [_objective(part.strip(), known) for part in text.split(",") if part.strip()]


def _objective(part: str, known: tuple[str, ...]) -> Objective:
    left, equals, right = part.partition("=")
    about, colon, name = left.strip().rpartition(":")
    about = about if colon else OVERALL
    if not equals or about not in known:
        what = f"there is no scenario {about!r}; there are {', '.join(known)}" if equals else "it has no ="
        raise Invalid(f"objective {part!r}: {what}; write such as p95=300ms, errors=1% or message:p99=1s")
    value = right.strip()
    if quantile := _QUANTILE.fullmatch(name.strip()):
        return Objective(about, "latency", _seconds(part, value), _share(part, float(quantile[1])))
    if name == "mean":
        return Objective(about, "mean", _seconds(part, value))
    if name == "errors":
        number = value.removesuffix("%")
        if not _NUMBER.fullmatch(number) or not 0 <= float(number) / (100 if "%" in value else 1) <= 1:
            raise Invalid(f"objective {part!r}: errors are a share such as 1% or 0.01")
        return Objective(about, "errors", float(number) / (100 if "%" in value else 1))
    if name == "throughput":
        if not _NUMBER.fullmatch(value):
            raise Invalid(f"objective {part!r}: throughput is a number of arrivals a second")
        return Objective(about, "throughput", float(value))
    raise Invalid(f"objective {part!r}: {name!r} is neither p50 to p99.999, mean, errors nor throughput")


def _share(part: str, percent: float) -> float:
    if not 0 < percent < 100:  # noqa: PLR2004 - per cent
        raise Invalid(f"objective {part!r}: a percentile is above 0 and below 100")
    return percent / 100


def _seconds(part: str, value: str) -> float:
    found = _DURATION.fullmatch(value)
    if found is None or not float(found[1]):
        raise Invalid(f"objective {part!r}: {value!r} is no duration; write such as 300ms or 1.5s")
    return float(found[1]) * _UNITS[found[2]]


def shown(objective: Objective, value: float | None) -> str:
    """A value of an objective's kind, for people."""
    if value is None or math.isnan(value):
        return "not measured"
    if objective.metric == "errors":
        return f"{value * 100:.3g}%"
    if objective.metric == "throughput":
        return f"{value:.1f}/s".replace(".0/s", "/s")
    return duration(value)


def duration(seconds: float | None) -> str:
    """Seconds for people: three digits with a unit."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.3g} s".replace(" ", "")
    return f"{seconds * 1000:.3g}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"  # noqa: PLR2004 - a millisecond


def judge(objective: Objective, measured: float | None) -> Outcome:
    """Whether a bound was kept."""
    kept = measured is not None and (
        measured >= objective.bound if objective.metric == "throughput" else measured <= objective.bound
    )
    text = f"{objective.text}: {shown(objective, measured)}, {'met' if kept else 'MISSED'}"
    return Outcome(objective.name, objective.bound, measured, kept, text)
