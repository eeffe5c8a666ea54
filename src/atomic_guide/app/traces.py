"""Traces of a process: begun where the settings say so, ended with what waits sent; how many spans came to what."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from atomic_guide import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from atomic_guide.app.telemetry import Recorder
    from atomic_guide.tracing import TracingSettings
    from atomic_guide.web.tool import Tool


class Traces(Collector):
    """The traces of one process; none where no endpoint is set, and then no library is loaded."""

    def __init__(self, settings: TracingSettings, child: str, role: str) -> None:
        """Raises `ConfigurationError` where traces are asked for and the extra is not installed."""
        self._recorder: Recorder | None = None
        if settings.endpoint is not None:
            from atomic_guide.app.telemetry import Recorder  # noqa: PLC0415 - an extra, and 90 ms to import

            self._recorder = Recorder(settings, f"{socket.gethostname()}/{child}", role)
            tracing.use(self._recorder)

    def join(self, tool: Tool) -> None:
        """Measure the queue of spans, and show what became of them."""
        if self._recorder is not None:
            tool.bounds.add(self._recorder.outgoing.used)
            tool.health.registry.register(self)

    def end(self) -> None:
        """Send what waits; bounded by `tracing.timeout_seconds`."""
        if self._recorder is not None:
            tracing.use(None)
            self._recorder.end()

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        family = CounterMetricFamily("atomic_guide_trace_spans", "Spans by what became of them.", labels=["outcome"])
        if self._recorder is not None:
            outgoing = self._recorder.outgoing
            for outcome in ("sent", "failed", "dropped"):
                family.add_metric([outcome], getattr(outgoing, outcome))
        yield family
