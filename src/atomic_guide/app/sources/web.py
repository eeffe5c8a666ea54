"""`web`: the processes that answer requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from atomic_guide.engines.queues.load import resident
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import WEB, Key, Sample
from atomic_guide.operations.scaling.reports import Spread, Told, named
from atomic_guide.web.shedding import LAG, LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell
    from atomic_guide.web.observe import WebMetrics
    from atomic_guide.web.overload import Overload

METRICS = (
    Metric(WEB, "processes", "processes", "Processes that answer requests."),
    Metric(WEB, "demand", "cores", "CPU time that web processes use in a second."),
    Metric(WEB, "utilisation", "share", "`demand` by the processes that are ready; one fills a core."),
    Metric(WEB, "latency", "s", "From the last byte of a request to the first of its answer.", kind="durations"),
    Metric(WEB, "throughput", "requests/s", "Requests answered, without probes."),
    Metric(WEB, "errors", "share", "Of them, answered with 5xx; no data while there are none."),
    Metric(WEB, "in_flight", "requests", "Requests being answered."),
    Metric(WEB, "memory", "bytes", "Resident memory of web processes."),
    Metric(WEB, "loop_lag", "s", "How late the event loop is, of the process that is latest."),
    Metric(WEB, "shedding", "classes", "Classes of load that are shed, of the process that sheds most."),
    Metric(WEB, "work", "s/s", "Response time spent in a second, of one feature.", "feature"),
)

READY = "web.ready"


def web_telling(metrics: WebMetrics, overload: Overload, is_ready: Callable[[], bool]) -> Tell:
    """What a process tells of its requests; nothing before it answers any."""
    # What a start takes is no demand: a rolling update must not look like one.
    start = time.process_time()

    def tell() -> Told:
        if not is_ready():
            return Told()
        counts = dict(metrics.answers.counts)
        counters = {
            "web.cpu": time.process_time() - start,
            "web.requests": float(sum(counts.values())),
            "web.failed": float(metrics.failed),
            **{named("web.work", feature): seconds for feature, seconds in metrics.work.items()},
        }
        gauges = {
            READY: 1.0,
            LEVEL: float(overload.level),
            LAG: overload.signals.lag,
            "web.in_flight": float(metrics.answering),
            "web.memory": float(resident()),
        }
        return Told(counters, gauges, {"web.latency": Spread(metrics.answers.total, counts)})

    return tell


class WebSource:
    """Over all web processes."""

    name = WEB
    metrics = METRICS

    def __init__(self, reports: Once[Look]) -> None:
        self._reports = reports

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a process is silent or none is ready."""
        look = await self._reports.at(at)
        look.whole(READY)
        demand = look.rate("web.cpu") or 0.0
        requests = look.rate("web.requests") or 0.0
        latency = look.histogram("web.latency")
        found = {
            "processes": float(len(look.gauges(READY))),
            "demand": demand,
            "utilisation": demand / len(look.gauges(READY)),
            "throughput": requests,
            "in_flight": sum(look.gauges("web.in_flight")),
        }
        # A process from before this metric tells nothing of it.
        if len(told := look.gauges("web.memory")) == len(look.gauges(READY)):
            found["memory"] = sum(told)
        for name, gauge in (("loop_lag", LAG), ("shedding", LEVEL)):
            if told := look.gauges(gauge):
                found[name] = max(told)
        if requests:
            found["errors"] = (look.rate("web.failed") or 0.0) / requests
        samples = [Sample(Key(WEB, name), value) for name, value in found.items()]
        samples.append(Sample(Key(WEB, "latency"), latency.total, latency.counts))
        work = {feature: look.rate(named("web.work", feature)) for feature in look.parts("web.work")}
        return samples + [Sample(Key(WEB, "work", part), value) for part, value in work.items() if value is not None]
