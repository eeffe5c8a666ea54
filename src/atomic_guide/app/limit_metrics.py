"""Limits as Prometheus sees them: how full each is in this process, and what it has refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from atomic_guide.operations.limits.register import Register


class LimitMetrics(Collector):
    """A collector over the limits of one process, read when it is asked."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def collect(self) -> Iterator[Metric]:
        """The figures of now; a limit whose use nothing here tells has none."""
        text = "Share of a limit that is used, 0 to 1, in the part that is fullest; docs/limits.md lists them."
        usage = GaugeMetricFamily("atomic_guide_limit_usage", text, labels=["limit"])
        for one in self._register.look():
            usage.add_metric([one.limit.name], one.share)
        yield usage
        refused = CounterMetricFamily("atomic_guide_limit_refused", "What a limit has refused.", labels=["limit"])
        for limit in self._register.limits:
            refused.add_metric([limit.name], limit.refused)
        yield refused
