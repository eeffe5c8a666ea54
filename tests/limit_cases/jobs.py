"""Jobs."""

import asyncio
import importlib
from collections import Counter
from typing import Any

import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.limits import PROCESS_MEMORY
from atomic_guide.engines.queues.load import Load, resident
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.limit import Used
from atomic_guide.tracing import ROOT, TracingSettings
from tests.contract.test_worker import Floor, forever
from tests.limit_cases import Ground, Reached, fullest, reaches, until
from tests.limit_cases.web import databases
from tests.queueing import declaring


def quick(**values: Any) -> QueueSettings:
    """Settings whose jobs are looked for often."""
    return declaring(poll_seconds=0.05, handover_seconds=0.0, **values)


async def _waits(ground: Ground, name: str, settings: QueueSettings) -> Reached:
    """Two jobs of which one runs: the other stays in the database until it has ended."""
    go = asyncio.Event()

    async def hold(_lease: Lease) -> None:
        await go.wait()

    async with databases(ground.folder) as shards:
        floor = Floor(shards, SystemClock(), settings)
        await floor.publish(count=2)
        async with floor.working(hold) as worker:
            await until(lambda: worker.running == 1)
            await asyncio.sleep(0.2)
            assert worker.running == 1
            seen = fullest(worker.used(), name)
            go.set()
            await floor.until(Counter(done=2))
        return Reached("waits", 1, seen)


@reaches("slots")
async def _(ground: Ground) -> Reached:
    return await _waits(ground, "slots", quick(slots=1, q=QueueRules()))


@reaches("queue_jobs")
async def _(ground: Ground) -> Reached:
    return await _waits(ground, "queue_jobs", quick(q=QueueRules(concurrency=1)))


@reaches("job_seconds")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        rules = QueueRules(time_limit_seconds=1.0, max_attempts=1)
        floor = Floor(shards, SystemClock(), quick(q=rules))
        await floor.publish()
        async with floor.working(forever) as worker:
            seen: list[Used] = []

            def nearly() -> bool:
                seen[:] = fullest(worker.used(), "job_seconds")
                return seen[0].value > 0.85

            await until(nearly)
            await floor.until(Counter(dead=1))
        return Reached("job fails", 1.0, list(seen))


@reaches("process_memory")
async def _(ground: Ground) -> Reached:
    most = max(1, int(resident() / 2**20) - 1)
    ran = asyncio.Event()

    async def run(_lease: Lease) -> None:
        ran.set()

    async with databases(ground.folder) as shards:
        floor = Floor(shards, SystemClock(), quick(memory_mb=most, q=QueueRules()))
        async with floor.working(run, load=Load()):
            await asyncio.sleep(0.4)
            await floor.publish()
            await asyncio.sleep(0.4)
            assert not ran.is_set()
        return Reached("waits", most, [Used(PROCESS_MEMORY, resident() / 2**20)])


@reaches("trace_spans")
async def _(_ground: Ground) -> Reached:
    pytest.importorskip("opentelemetry.sdk")
    telemetry = importlib.import_module("atomic_guide.app.telemetry")
    nowhere = TracingSettings("http://127.0.0.1:9/v1/traces", sample_ratio=1.0, queue_limit=16, timeout_seconds=0.2)
    recorder = telemetry.Recorder(nowhere, "p", "all")
    for _ in range(17):
        with recorder.begin("span", "internal", ROOT, {}):
            pass
    seen = fullest(recorder.outgoing.used(), "trace_spans")
    await asyncio.to_thread(recorder.end)
    assert recorder.outgoing.dropped == 1
    return Reached("drops", 16, seen)
