"""A room over three processes while NATS carries nothing for 30 s: nothing is lost, and everybody is told.

The server of NATS is stopped (SIGSTOP), so that its connections stay open and silent: the outage that is hardest to
notice. Messages go on; they reach people of other processes from the database, and all at once when NATS is back.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from atomic_guide.engines.data.embedded import open_embedded
from bench._bars import Bars
from bench._rooms_people import Crowd, Plan, check_files, served, talk, tokens, until

PLAN = Plan(people=600, processes=3, places=1000, messages=200, rate=5.0)
QUIET_SECONDS = 30.0
BEFORE, AFTER = 20, 30
"""Messages before the outage and, at least, after it."""


async def measure(bars: Bars) -> None:
    """Talk before, during and after the outage; judge what each got and was told."""
    plan = PLAN._replace(people=bars.size(PLAN.people, 60))
    if advice := check_files(plan.people):
        bars.show("not shown", advice)
        return
    seconds = max(QUIET_SECONDS * bars.share, 8.0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        await (await open_embedded(data)).close()
        users = [(f"student-{number}", "learner") for number in range(plan.people)]
        teacher, *students = await tokens(data, [("teacher", "instructor"), *users])
        async with served(data, plan) as (url, pid):
            crowd = Crowd(url, students)
            try:
                await crowd.enter()
                await _outage(bars, crowd, teacher, nats_server(pid), seconds)
            finally:
                await crowd.end()


async def _outage(bars: Bars, crowd: Crowd, teacher: str, nats: int, seconds: float) -> None:
    messages = BEFORE + int(seconds * PLAN.rate) + AFTER
    told: list[float] = []
    paused = asyncio.Event()

    async def pause() -> None:
        os.kill(nats, signal.SIGSTOP)
        paused.set()

    async def watch() -> None:
        await paused.wait()
        began = time.monotonic()
        try:
            await until(lambda: all(True in person.late for person in crowd.people), seconds)
            told.append(time.monotonic() - began)
            await asyncio.sleep(began + seconds - time.monotonic())
        finally:
            os.kill(nats, signal.SIGCONT)
        began = time.monotonic()
        await until(lambda: all(person.late[-1:] == [False] for person in crowd.people), 30)
        told.append(time.monotonic() - began)

    watching = asyncio.create_task(watch())
    with suppress(TimeoutError):
        await talk(crowd, teacher, messages, PLAN.rate, {BEFORE: pause})
        await crowd.caught_up(messages)
        await watching
    for what, count in crowd.wrong(messages).items():
        bars.most(f"messages {what}, of {len(crowd.people) * messages:,}", count, 0)
    bars.least("people told that messages come late", sum(True in one.late for one in crowd.people), len(crowd.people))
    bars.most("everybody has been told so after", round(told[0], 1) if told else math.inf, 10, "s")
    again = sum(one.late[-1:] == [False] for one in crowd.people)
    bars.least("people told that they are current again", again, len(crowd.people))
    bars.most("told so after the end of the outage", round(told[1], 1) if told[1:] else math.inf, 10, "s")
    bars.show("sockets that broke", sum(len(person.joins) - 1 for person in crowd.people))


def nats_server(pid: int) -> int:
    """The process id of the NATS server below a supervisor."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            with suppress(OSError):
                if b"nats-server" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]:
                    return int(child)
    raise RuntimeError("the server has no NATS server of its own")
