"""What `atomic-guide doctor` says of overload and dependencies, from what processes have reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.web.dependencies import opened
from atomic_guide.web.overload import ORDER
from atomic_guide.web.shedding import LAG, LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.config import Settings
    from atomic_guide.operations.scaling.reports import Report


def look_at_shedding(settings: Settings, reports: Sequence[Report]) -> tuple[str, str]:
    """What is shed, in words, and what to do about it; empty where nothing is to be done."""
    if not settings.resilience.shedding.enabled:
        return "no load is shed: overload hits everybody alike", "set resilience.shedding.enabled"
    telling = [report for report in reports if LEVEL in report.gauges]
    if not telling:
        return f"{', then '.join(ORDER)} would be shed; no process has told how loaded it is", ""
    busiest = max(telling, key=lambda report: (report.gauges[LEVEL], report.gauges[LAG]))
    level, lag = int(busiest.gauges[LEVEL]), busiest.gauges[LAG] * 1000
    if not level:
        return f"nothing is shed; the latest loop is {lag:.1f} ms late", ""
    text = f"{', '.join(ORDER[:level])} {'is' if level == 1 else 'are'} shed by {busiest.process}"
    return text, "see why at /api/ops/shedding; add processes or machines"


def told_bounds(settings: Settings) -> list[tuple[str, str]]:
    """Each dependency with what bounds it, and the values in force."""
    from atomic_guide.app.dependencies import in_force  # noqa: PLC0415 - the driver of PostgreSQL takes 60 ms to import

    return [
        (
            one.name,
            f"time-out {one.time_out}; breaker {one.breaker}; retries {one.retries}; at most {one.bulkhead}"
            + (f" ({', '.join(f'{key} {value}' for key, value in one.values.items())})" if one.values else ""),
        )
        for one in in_force(settings)
    ]


def look_at_breakers(reports: Sequence[Report]) -> tuple[str, str]:
    """Which dependencies are left alone because they failed, in words, and what to do; empty where none is."""
    if not reports:
        return "no process has told of its breakers", ""
    found = opened(reports)
    if not found:
        return "no breaker is open", ""
    names = dict.fromkeys(one.name for one in found)
    where = {name: [one.process for one in found if one.name == name] for name in names}
    text = "; ".join(f"{name} is left alone by {', '.join(processes)}" for name, processes in where.items())
    return text, "see why at /api/ops/dependencies, and what goes on without it in docs/resilience.md"
