"""A server that scales its own workers: a burst of lectures brings them, and every one is made once.

At full size, with the workers' going: `python3 dev.py bench workers`.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keeping import run
from tests.running import RunningServer, running_server
from tests.scaling_live import Outcome, burst, clips, workers

CLIPS = 8
EAGER = {
    # Eight clips are no burst by themselves: a rule of the operator's asks for workers.
    "SCALING_RULES": json.dumps([
        {"name": "lectures-wait", "fleet": "workers", "component": "queues", "metric": "backlog", "part": "video",
         "above": 2, "for_seconds": 0, "action": "add_consumer", "urgency": "high"},
    ]),
    "QUEUES_VIDEO_CONCURRENCY": "1",
    "SCALING_WORKERS_MAX": "3",
    # The machine of a test run is busy with others' work, which would keep lectures waiting for a minute.
    "QUEUES_VIDEO_HOLD_WHEN_BUSY": "false",
}  # fmt: skip


async def _held_until_a_worker_comes(server: RunningServer) -> Outcome:
    """A quick machine would have made eight small clips before anybody measures, so they wait until help is there."""
    await asyncio.to_thread(run, server.data, "queues", "pause", "video")
    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        outcome = group.create_task(burst(server, clips(CLIPS, 1.0, "160x90"), 270, "up"))
        while not await asyncio.to_thread(workers, server.data):  # noqa: ASYNC110 - a file tells
            await asyncio.sleep(0.5)
        await asyncio.to_thread(run, server.data, "queues", "resume", "video")
    return outcome.result()


@pytest.mark.timeout(360)
def test_a_burst_of_lectures_brings_workers_with_a_reason_and_each_is_made_once(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", EAGER) as server:
        outcome = asyncio.run(_held_until_a_worker_comes(server))
        command = [sys.executable, "-m", "atomic_guide.cli", "scale", "history", "--data", str(server.data), "--json"]
        told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert outcome.states == {"ready": CLIPS}
    assert outcome.runs == {1: CLIPS}, "each job ran once"
    acts = [event for event in outcome.events if event["fleet"] == "workers" and event["decision"]["action"] != "hold"]
    assert acts, outcome
    # Whichever of both sees the burst first.
    assert acts[0]["rule"] in {"lectures-wait", "target-tracking"}
    assert acts[0]["before"] == 1
    assert acts[0]["decision"]["reason"]
    assert acts[0]["decision"]["inputs"]
    assert acts[0]["decision"]["action"] == "add_consumer"
    assert any(moment.workers for moment in outcome.moments), "it really ran"
    assert acts[0]["id"] in {event["id"] for event in told["events"]}, "operators see it"
