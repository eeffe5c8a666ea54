"""Joins what measures overload with what is shed, in a process that answers requests."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.course.chat.limits import PENDING_MESSAGES
from atomic_guide.engines.data import usage
from atomic_guide.engines.data.limits import FILE_WRITES, SERVER_CALLS
from atomic_guide.errors import GuideError
from atomic_guide.operations.scaling.audit import Deed, note
from atomic_guide.operations.scaling.model import WEB
from atomic_guide.web.overload import ORDER, watch
from atomic_guide.web.shedding import SHEDDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.web.overload import Change, Overload
    from atomic_guide.web.tool import Tool

_log = structlog.get_logger(__name__)

_NOTE_SECONDS = 10.0
"""How long the entry of a decision may take; the log has it anyway."""
_QUEUES = frozenset({FILE_WRITES.name, SERVER_CALLS.name})


async def shed(tool: Tool, process: str) -> None:
    """Watch this process and shed load until cancelled; `process` is its name in the log of decisions."""
    tasks: set[asyncio.Task[None]] = set()

    def changed(change: Change) -> None:
        tool.chat.rooms.hush.on = change.after > ORDER.index("typing")
        task = asyncio.create_task(_note(tool, process, change))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await watch(tool.overload, partial(fullest_queue, tool), changed)


def fullest_queue(tool: Tool) -> float:
    """How full the fullest queue of messages and databases is, 0 to 1."""
    values = tool.bounds.values
    shares = [one.value / values[one.limit.name] for one in usage.used(tool.shards) if one.limit.name in _QUEUES]
    return max(*shares, tool.chat.messages.waiting / values[PENDING_MESSAGES.name])


async def _note(tool: Tool, process: str, change: Change) -> None:
    """Enter a decision where those of scaling are."""
    measured = {"lag_ms": change.lag_ms, "waiting": change.waiting, "cpu": change.cpu}
    details = {"before": change.before, "after": change.after, "reason": change.reason, **measured}

    async def work(tx: Transaction) -> None:
        await note(tx, change.at, process, Deed(SHEDDING, WEB, details=details))

    try:
        async with asyncio.timeout(_NOTE_SECONDS):
            await tool.shards.directory.write(work)
    except (GuideError, TimeoutError) as error:
        _log.warning("a decision to shed load is not in the log of decisions", error=str(error) or "no answer in time")


class SheddingMetrics(Collector):
    """What is shed, as Prometheus sees it."""

    def __init__(self, tool: Tool) -> None:
        self._overload: Overload = tool.overload
        self._hush = tool.chat.rooms.hush

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        overload = self._overload
        lag, waiting, cpu = overload.signals
        text = "Classes of load that are shed: 1 typing and presence, 2 also analytics events, 3 also uploads."
        yield GaugeMetricFamily("atomic_guide_shedding_level", text, value=overload.level)
        yield GaugeMetricFamily("atomic_guide_loop_lag_seconds", "How late the event loop is.", value=lag)
        yield GaugeMetricFamily("atomic_guide_loop_cpu", "Share of a core that the event loop uses.", value=cpu)
        text = "How full the fullest queue of messages and databases is, 0 to 1."
        yield GaugeMetricFamily("atomic_guide_queue_share", text, value=waiting)
        counter = CounterMetricFamily("atomic_guide_shed", "What was shed.", labels=["class"])
        for kind in ORDER:
            counter.add_metric([kind], self._hush.dropped if kind == "typing" else overload.shed[kind])
        yield counter
