"""The command `queues`, beside a worker."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.priority import Facts
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.errors import Conflict, NotFound
from tests.engines import installed

KEY = CourseKey.of("tenant", "waves")
T = TypeVar("T")


class Waiting:
    """Runs until it is told to end."""

    async def run(self, lease: Lease) -> None:
        await asyncio.Event().wait()

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        raise AssertionError(reason)

    async def buried(self, job: Job, reason: str) -> None:
        raise AssertionError(reason)


def ask(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(program, ["queues", *arguments, "--data", str(data)])


def told(data: Path, *arguments: str) -> Any:
    answer = ask(data, *arguments, "--json")
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def opened(data: Path, work: Callable[[Shards], Awaitable[T]]) -> T:
    async def run() -> T:
        shards = await open_embedded(installed(data))
        try:
            return await work(shards)
        finally:
            await shards.close()

    return asyncio.run(run())


def published(data: Path) -> list[str]:
    """Two jobs for the queue of videos: one of a student, then one of a live session."""

    async def work(shards: Shards) -> list[str]:
        queues = Queues(shards, SystemClock(), QueueSettings())
        ids: list[str] = []

        async def publish(tx: Transaction) -> None:
            plain = NewJob(queue="video", kind="video.make", subject="plain")
            live = NewJob(queue="video", kind="video.make", subject="live", facts=Facts(live=True, instructor=True))
            ids.extend(filter(None, await queues.publish_many(tx, KEY, [plain, live])))

        await shards.of(KEY).write(publish)
        return ids

    return opened(data, work)


def video(data: Path) -> Any:
    return next(view for view in told(data, "list")["queues"] if view["queue"] == "video")


def test_queues_are_listed_with_what_is_next_and_why(tmp_path: Path) -> None:
    plain, live = published(tmp_path)
    view = video(tmp_path)
    assert (view["depth"], view["states"], view["paused_since"]) == (2, {"queued": 2}, None)
    assert [one["id"] for one in view["next"]] == [live, plain]
    assert view["next"][0]["why"].startswith("its course has a live session and an instructor asked for it, worth")
    assert view["next"][1]["why"].startswith("nothing gives it precedence; it has waited")
    assert [one["queue"] for one in told(tmp_path)["queues"]] == [
        "video",
        "analytics",
        "notifications",
        "rosters",
        "assets",
    ]
    assert f"next: {live}" in ask(tmp_path, "list").stdout
    assert [job["id"] for job in told(tmp_path, "list", "--state", "queued")["jobs"]] == [live, plain]


def test_a_job_is_shown_and_called_off(tmp_path: Path) -> None:
    plain, live = published(tmp_path)
    assert told(tmp_path, "show", live)["state"] == "queued"
    assert told(tmp_path, "cancel", live) == {"cancelled": live}
    assert told(tmp_path, "show", live)["state"] == "cancelled"
    assert isinstance(ask(tmp_path, "cancel", live).exception, Conflict)
    assert [one["id"] for one in video(tmp_path)["next"]] == [plain]
    assert "precedence" in ask(tmp_path, "show", plain).stdout
    assert isinstance(ask(tmp_path, "show", "j0").exception, NotFound)


def test_a_pause_outlives_the_command_and_a_queue_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    published(tmp_path)
    assert told(tmp_path, "pause", "video", "--why", "the store moves") == {"paused": "video", "paused_until": None}
    since = video(tmp_path)["paused_since"]
    assert since
    told(tmp_path, "pause", "video")
    assert video(tmp_path)["paused_since"] == since
    assert re.search(r"PAUSED since \S+ by \S+ \(the store moves\)", ask(tmp_path, "list").stdout)
    assert told(tmp_path, "resume", "video") == {"resumed": "video", "was_paused": True}
    assert told(tmp_path, "resume", "video") == {"resumed": "video", "was_paused": False}
    assert video(tmp_path)["paused_since"] is None
    wrong = ask(tmp_path, "pause", "vidoe")
    assert wrong.exit_code == 2
    assert "video, analytics" in wrong.stderr


@pytest.mark.parametrize("command", ["cancel", "pause"])
def test_a_running_worker_sees_a_command_within_a_second(tmp_path: Path, command: str) -> None:
    published(tmp_path)

    async def work(shards: Shards) -> float:
        settings = QueueSettings(hold_most_seconds=0)
        worker = Worker(shards, {"video": {"video.make": Waiting()}}, clock=SystemClock(), settings=settings)
        task = asyncio.create_task(worker.run())
        async with asyncio.timeout(20):
            while worker.running < 2:  # noqa: ASYNC110 - a worker has no event
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        (job,) = [row["id"] for row in (await asyncio.to_thread(told, tmp_path, "--state", "running"))["jobs"]][:1]
        await asyncio.to_thread(told, tmp_path, command, job if command == "cancel" else "video")
        began = time.monotonic()
        async with asyncio.timeout(20):
            if command == "cancel":
                while worker.running > 1:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            else:
                while "video" not in worker.paused:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
        seconds = time.monotonic() - began
        worker.stop()
        await asyncio.wait_for(task, 20)
        return seconds

    assert opened(tmp_path, work) < 2
