"""What a process tells of its limits in its report, and what is made of the reports of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.limit import About
from atomic_guide.operations.scaling.reports import Told, named

if TYPE_CHECKING:
    from atomic_guide.limit import Limit
    from atomic_guide.operations.limits.register import Register
    from atomic_guide.operations.scaling.reports import Report, Tell

USAGE, VALUE, MOST, HIGH = "limit.usage", "limit.value", "limit.most", "limit.high"
REFUSED, PART = "limit.refused", "limit.part"


class Shown(msgspec.Struct, frozen=True):
    """A limit over all processes.

    `setting` is empty where it is fixed, `most` is null where each part has its own and no process has told of one.
    `value`, `usage` and `part` are of the process that is nearest to it, which `process` names; they are null, or
    empty, where none has told. `about` says what its use is of: only a `level` is near before it is reached. `high` is
    the largest usage since a process's start. `refused` is over all that run.
    """

    name: str
    component: str
    unit: str
    setting: str
    most: float | None
    value: float | None
    usage: float | None
    high: float | None
    part: str
    process: str
    refused: int
    near: bool
    about: About
    refuses: str
    answer: str
    use: str


def limits_telling(register: Register) -> Tell:
    """What a process tells; a refusal only once there was one."""

    def tell() -> Told:
        gauges: dict[str, float] = {}
        for one in register.look():
            name = one.limit.name
            gauges[named(USAGE, name)] = round(one.share, 4)
            gauges[named(VALUE, name)] = round(one.value, 3)
            if name not in register.values:
                gauges[named(MOST, name)] = one.most
            if one.high > one.share:
                gauges[named(HIGH, name)] = round(one.high, 4)
            if one.part:
                gauges[named(PART, f"{name}/{one.part}")] = 1.0
        refused = {named(REFUSED, limit.name): float(limit.refused) for limit in register.limits if limit.refused}
        return Told(refused, gauges)

    return tell


def shown(limits: Sequence[Limit], values: Mapping[str, float], reports: Sequence[Report]) -> list[Shown]:
    """Every limit over all reports, in the order of `limits`; pure."""
    return [_shown(limit, values.get(limit.name), reports) for limit in limits]


def _shown(limit: Limit, most: float | None, reports: Sequence[Report]) -> Shown:
    name = limit.name
    usage, value, high = (named(what, name) for what in (USAGE, VALUE, HIGH))
    telling = [report for report in reports if usage in report.gauges]
    fullest = max(telling, key=lambda report: report.gauges[usage], default=None)
    share = fullest.gauges[usage] if fullest is not None else None
    used = fullest.gauges.get(value) if fullest is not None else None
    if most is None and fullest is not None:
        most = fullest.gauges.get(named(MOST, name))
    return Shown(
        name=name,
        component=limit.component,
        unit=limit.unit,
        setting=limit.key,
        most=most,
        value=used,
        usage=share,
        high=max((report.gauges.get(high, report.gauges[usage]) for report in telling), default=None),
        part=_part(name, fullest) if fullest is not None else "",
        process=fullest.process if fullest is not None else "",
        refused=int(sum(report.counters.get(named(REFUSED, name), 0.0) for report in reports)),
        near=share is not None and limit.near(share),
        refuses=limit.refuses,
        answer=limit.answer,
        about=limit.about,
        use=limit.use,
    )


def _part(name: str, report: Report) -> str:
    start = named(PART, f"{name}/")
    return next((key.removeprefix(start) for key in report.gauges if key.startswith(start)), "")
