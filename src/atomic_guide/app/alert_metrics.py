"""Alerts as Prometheus sees them: of the process that leads; others show nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.operations.alerts.days import back
from atomic_guide.operations.alerts.promql import SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from prometheus_client.core import Metric

    from atomic_guide.clock import Clock
    from atomic_guide.operations.alerts.delivery import Delivery
    from atomic_guide.operations.alerts.names import When
    from atomic_guide.operations.alerts.watch import Watch

_STATES = ("pending", "firing")
_EARLIER: tuple[When, ...] = ("previous_day", "previous_week")


class AlertMetrics(Collector):
    """Collected from the registry of a process that may lead."""

    def __init__(self, watch: Watch, delivery: Delivery, zone: tzinfo, clock: Clock) -> None:
        self._watch = watch
        self._delivery = delivery
        self._zone = zone
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """How alerts stand; counters are since the start of the process."""
        evaluations = CounterMetricFamily("atomic_guide_alerts_evaluations", "Evaluations of all rules.")
        evaluations.add_metric((), self._watch.evaluations)
        sent = CounterMetricFamily(
            "atomic_guide_alerts_notifications",
            "Attempts to tell a channel of alerts: taken, retried or failed.",
            labels=("channel", "outcome"),
        )
        for (channel, outcome), count in self._by_channel().items():
            sent.add_metric((channel, outcome), count)
        yield from (evaluations, sent, self._shifts())
        if self._watch.leading:
            yield from self._standing()

    def _by_channel(self) -> dict[tuple[str, str], int]:
        """Several receivers of one channel together."""
        found: dict[tuple[str, str], int] = {}
        for (channel, outcome), count in self._delivery.counts.items():
            key = (channel.partition("/")[0], outcome)
            found[key] = found.get(key, 0) + count
        return found

    def _standing(self) -> Iterator[Metric]:
        watch = self._watch
        alerts = GaugeMetricFamily("atomic_guide_alerts", "Alerts by rule.", labels=("rule", "state"))
        counts: dict[tuple[str, str], int] = {(rule, state): 0 for rule in watch.rules for state in _STATES}
        for alert in watch.alerts.values():
            counts[alert.rule, alert.state] = counts.get((alert.rule, alert.state), 0) + 1
        for labels, count in sorted(counts.items()):
            alerts.add_metric(labels, count)
        unknown = GaugeMetricFamily(
            "atomic_guide_alerts_unknown", "1 while nothing is known of what a rule looks at.", labels=("rule",)
        )
        for rule in watch.rules:
            unknown.add_metric((rule,), float(rule in watch.standing.unknown))
        pending = GaugeMetricFamily("atomic_guide_alerts_pending_messages", "Messages that no channel has taken yet.")
        pending.add_metric((), sum(group.pending is not None for group in watch.groups.values()))
        dropped = GaugeMetricFamily("atomic_guide_alerts_dropped", "Alerts that there was no room for.")
        dropped.add_metric((), watch.standing.dropped)
        yield from (alerts, unknown, pending, dropped)

    def _shifts(self) -> Metric:
        """How far back earlier days lie now: what PromQL cannot know."""
        shifts = GaugeMetricFamily(
            SHIFT,
            "Seconds to the same time of an earlier day; 0 where there is none.",
            labels=("to", "of"),
        )
        for when in _EARLIER:
            for kind in ("time", "day"):
                # Not absent: the last distance would be taken to hold for 40 s more.
                shifts.add_metric((when, kind), back(self._clock.now(), when, self._zone, daily=kind == "day") or 0.0)
        return shifts
