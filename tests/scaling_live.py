"""A burst of short clips on a real server that scales its own workers, seen from outside: what ran, when, and why."""

import asyncio
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import msgspec

from atomic_guide.app.processes import look
from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import Unavailable
from tests import media
from tests.running import RunningServer

_STEP = 0.5


class Moment(NamedTuple):
    """Seconds since the burst: processes that run jobs beside the server's first one, lectures that are ready."""

    at: float
    workers: int
    ready: int


class Outcome(NamedTuple):
    """What became of a burst."""

    moments: list[Moment]
    states: Counter[str]
    runs: Counter[int]
    """How many lectures' jobs have ended after so many attempts."""
    events: list[dict[str, Any]]

    def first(self, workers: int) -> float | None:
        """When so many workers ran for the first time."""
        return next((moment.at for moment in self.moments if moment.workers >= workers), None)

    def drained(self, clips: int) -> float | None:
        """When all lectures were ready."""
        return next((moment.at for moment in self.moments if moment.ready >= clips), None)


def clips(count: int, seconds: float = 2.0, size: str = "640x360") -> list[bytes]:
    """So many short clips, each a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        media.clip(path, seconds=seconds, size=size)
        content = path.read_bytes()
    # A box that players pass over makes each file another one.
    return [content + b"\0\0\0\x10free" + number.to_bytes(8, "big") for number in range(count)]


async def burst(server: RunningServer, files: list[bytes], limit: float, until: Literal["up", "down"]) -> Outcome:
    """Upload all at once; watch until all are ready and workers came (`down`: and went), at most `limit` seconds."""
    began = time.monotonic()
    moments: list[Moment] = []
    entered = await asyncio.to_thread(server.enter, "teacher", "instructor")
    uploads = [asyncio.create_task(asyncio.to_thread(_upload, entered, content)) for content in files]
    ready = 0
    while (at := time.monotonic() - began) < limit:
        # Once they are all ready the wait may be longer than a session lasts.
        ready = ready if ready >= len(files) else await asyncio.to_thread(_ready, entered)
        moment = Moment(at, workers(server.data), ready)
        if not moments or moment[1:] != moments[-1][1:]:
            moments.append(moment)
        went_up = any(one.workers for one in moments)
        if ready >= len(files) and went_up and (until == "up" or not moment.workers):
            break
        await asyncio.sleep(_STEP)
    await asyncio.gather(*uploads)
    entered.close()
    with await asyncio.to_thread(server.enter, "teacher", "instructor") as again:
        states = Counter(video["status"] for video in again.get("/api/video").json()["videos"])
    return Outcome(moments, states, _runs(server.data), events(server.data))


def workers(data: Path) -> int:
    """Children that run jobs and are ready."""
    try:
        running = look(data)
    except Unavailable:
        return 0
    return sum(one.name.startswith("worker-") and one.state == "running" for one in running.processes)


def events(data: Path) -> list[dict[str, Any]]:
    """The events of scaling, the oldest first, with their decisions and verdicts."""
    rows = _rows(
        database_files(data, DataSettings())[0],
        "SELECT id, fleet, rule, state, before, after, error, decision, verdict FROM scaling_events ORDER BY at, id",
    )
    for row in rows:
        row["decision"] = msgspec.json.decode(row["decision"])
        row["verdict"] = None if row["verdict"] is None else msgspec.json.decode(row["verdict"])
    return rows


def _upload(entered: httpx.Client, content: bytes) -> None:
    answer = entered.post(
        "/api/video/upload", files={"file": ("a.mp4", content, "video/mp4")}, data={"title": "Clip"}, timeout=120
    )
    answer.raise_for_status()


def _ready(entered: httpx.Client) -> int:
    return sum(video["status"] == "ready" for video in entered.get("/api/video").json()["videos"])


def _runs(data: Path) -> Counter[int]:
    found: Counter[int] = Counter()
    sql = "SELECT subject, sum(attempts) AS runs FROM ended_jobs WHERE queue = 'video' GROUP BY subject"
    for shard in database_files(data, DataSettings())[1]:
        found.update(row["runs"] for row in _rows(shard, sql))
    return found


def _rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]
