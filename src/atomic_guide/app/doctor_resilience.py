"""What `atomic-guide doctor` says of overload: whether load is shed, from what processes have reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
