"""What remembering is worth to a real call: the performance report of a course of 300 students, on both engines.

Requests (GET /api/analytics/performance) per CPU-second of the process that answers, through the whole application but
the socket: with the report in memory; from NATS, as the first reader of another process finds it; made from scores that
the process holds; and made from the databases. Databases are durable. What a database server itself uses is not
counted, which favours making. Beside that what one row costs by its key, and one value from NATS: why rows are not
shared.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from atomic_guide.course.analytics.books import Books
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.video.videos import QUERIES
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from bench._bars import Bars
from tests.caching import running_cache
from tests.engines import opened_shards
from tests.postgres import Cluster, fresh_cluster
from tests.reporting import URL, Reporting

STUDENTS, ACTIVITIES = 300, 40
KEY = CourseKey.of("t1", "course-1")
ROUNDS = 5
CALLS = {"memory": 200, "nats": 40, "held scores": 10, "databases": 4}
"""Of a round, by where the report comes from."""

Prepare = Callable[[], Awaitable[None]]


async def measure(bars: Bars) -> None:
    """SQLite files, then servers."""
    with fresh_cluster(((), ())) as cluster:
        for engine in ("sqlite", "postgresql"):
            await of_engine(bars, engine, cluster)


async def of_engine(bars: Bars, engine: str, cluster: Cluster) -> None:
    """The figures of one engine."""
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shards = await stack.enter_async_context(opened_shards(engine, data, cluster))
        cache = await stack.enter_async_context(beside_nats(data))
        site = Reporting(shards, AnalyticsSettings(), cache)
        await fill(site, shards)
        token = await site.token("prof", "instructor")
        speeds: dict[str, list[float]] = {name: [] for name in CALLS}
        for _ in range(max(1, round(ROUNDS * bars.share))):
            for name, prepare in ways(site, cache).items():
                await called(site.app, token)
                speeds[name].append(await speed(site.app, token, prepare, CALLS[name]))
        medians = {name: bars.median(f"{engine}: report from {name}", found, "requests/CPU-s")
                   for name, found in speeds.items()}  # fmt: skip
        bars.least(f"{engine}: memory to held scores", medians["memory"] / medians["held scores"], 5, "times")
        bars.least(f"{engine}: nats to databases", medians["nats"] / medians["databases"], 5, "times")
        await parts(bars, engine, shards, cache)


@asynccontextmanager
async def beside_nats(data: Path) -> AsyncIterator[Cache]:
    """A cache over a NATS server of its own."""
    server = NatsServer(data, NatsSettings())
    await server.start()
    try:
        async with running_cache(Connection(data, NatsSettings())) as cache:
            yield cache
    finally:
        await server.stop()


async def fill(site: Reporting, shards: Shards) -> None:
    """A course with its students and their scores."""
    queues, chance = Queues(shards, site.clock, QueueSettings()), random.Random(7)
    lines = ["user,activity,score,max,at"]
    for number in range(STUDENTS):
        name = f"Student Number {number}"
        arrival = Arrival(
            key=KEY, platform="p", context="course-1", title="Waves", return_url=None, user=f"student-{number}",
            name=name, role="learner", services=Services(),
        )  # fmt: skip
        await enrol(shards, site.clock, queues, arrival)
        for activity in range(ACTIVITIES):
            at = f"2025-{1 + activity // 5:02d}-{1 + activity % 5 * 5:02d}T10:00:00Z"
            lines.append(f"student-{number},Exercise {activity},{chance.random() * 20},20,{at}")

    async def pieces() -> AsyncIterator[bytes]:
        yield "\n".join(lines).encode()

    taken = await site.tool.scores.take_csv(KEY, pieces())
    assert taken.accepted == STUDENTS * ACTIVITIES


def ways(site: Reporting, cache: Cache) -> dict[str, Prepare]:
    """What is done before each call, so that its report comes from where it is meant to."""
    name = site.performance.name(KEY)
    digest = site.performance.space.digest(name)

    async def nothing() -> None:
        pass

    async def forget() -> None:
        cache.memory.drop(name)

    async def forget_everywhere() -> None:
        await cache.drop_value(site.performance.space, name)

    async def forget_all() -> None:
        site.performance.ledger.columns = Books(AnalyticsSettings().memory_bytes)
        await forget_everywhere()

    assert digest
    return {"memory": nothing, "nats": forget, "held scores": forget_everywhere, "databases": forget_all}


async def speed(app: ASGIApp, token: str, prepare: Prepare, calls: int) -> float:
    """Calls per CPU-second of this process, without what prepares them."""
    spent = 0.0
    for _ in range(calls):
        await prepare()
        began = time.process_time()
        await called(app, token)
        spent += time.process_time() - began
        # Until what is made has been put on NATS.
        await asyncio.sleep(0.005)
    return calls / spent


async def called(app: ASGIApp, token: str) -> None:
    """One call, by the teacher."""
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": URL,
        "raw_path": URL.encode(), "query_string": b"", "headers": [(b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http",
    }  # fmt: skip
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    await app(scope, receive, send)
    assert answers[0]["status"] == 200, answers


async def parts(bars: Bars, engine: str, shards: Shards, cache: Cache) -> None:
    """What a row by its key and a value from NATS cost in this process."""
    rows, count = shards.of(KEY), bars.size(2000, 200)
    small = cache.space("small", str)
    key = small.key("t", "c")

    async def row() -> None:
        await rows.one(QUERIES["read_rules"], KEY.columns)

    async def load() -> str:
        return "a value"

    async def from_nats() -> None:
        cache.memory.drop(key)
        await small.get(key, load)

    async def from_memory() -> None:
        await small.get(key, load)

    await from_memory()
    await asyncio.sleep(0.1)
    for name, work in (("a row by its key", row), ("a small value from NATS", from_nats), ("from memory", from_memory)):
        began = time.process_time()
        for _ in range(count):
            await work()
        bars.show(f"{engine}: {name}", (time.process_time() - began) / count * 1e6, "us of CPU")
    began = time.process_time()
    for _ in range(count // 50):
        await asyncio.gather(*(row() for _ in range(50)))
    bars.show(f"{engine}: a row, 50 at once", (time.process_time() - began) / (count // 50 * 50) * 1e6, "us of CPU")
