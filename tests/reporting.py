"""The web application with scores, figures and health over real databases, and people who call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from atomic_guide.clock import ManualClock, from_iso
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.performance import Performance
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.keeping.reads import Reads
from atomic_guide.course.watching.lectures import Lectures
from atomic_guide.course.watching.settings import EventSettings
from atomic_guide.course.watching.taking import Events
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.web import health, openapi, reports, watching
from atomic_guide.web.health import Health
from atomic_guide.web.idempotency import Answers
from atomic_guide.web.observe import Observe, WebMetrics
from atomic_guide.web.overload import Overload, SheddingSettings
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Role, Session, Sessions
from atomic_guide.web.settings import RepeatSettings, SessionSettings
from atomic_guide.web.tool import Tool
from tests.engines import installed
from tests.operating import TOKEN, operators

OPERATOR = TOKEN
NOW = from_iso("2025-11-23T12:00:00Z")
URL = "/api/analytics/performance"


class Reporting:
    """One web process. Its clock stands still until a test moves it."""

    def __init__(self, shards: Shards, settings: AnalyticsSettings, cache: Cache | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.shards = shards
        self.registry = CollectorRegistry()
        self.health = Health(shards, self.registry, self.clock, metrics_public=False)
        self.reads = Reads(shards, self.clock)
        self.sessions = Sessions(shards.directory, self.clock, SessionSettings())
        self.cache = cache or Cache(CacheSettings(), self.clock)
        self.performance = Performance(shards, self.clock, settings, self.cache)
        self.tool = cast(
            "Tool",
            SimpleNamespace(
                clock=self.clock,
                shards=shards,
                sessions=self.sessions,
                operators=operators(shards.directory, self.clock),
                answers=Answers(shards, self.clock, RepeatSettings()),
                overload=Overload(SheddingSettings()),
                scores=Scores(shards, self.clock, settings, self.performance.note),
                performance=self.performance,
                events=Events(shards, self.clock, Queues(shards, self.clock, QueueSettings()), EventSettings()),
                watching=Lectures(shards),
                reads=self.reads,
                health=self.health,
            ),
        )
        declared = [*reports.calls.declared, *watching.calls.declared, *health.calls.declared, *openapi.calls.declared]
        app = create_app(self.tool, declared)
        self.metrics = WebMetrics(self.registry)
        self.app: ASGIApp = Observe(app, app.routes, self.metrics, access_log=True)

    async def token(self, user: str, role: Role = "learner", context: str = "course-1", tenant: str = "t1") -> str:
        """The token of somebody who has launched into a course."""
        key = CourseKey.of(tenant, context)
        session = Session(
            tenant=key.tenant,
            course=key.course,
            bucket=key.bucket,
            user=user,
            name=f"Name of {user}",
            role=role,
            locale="en",
            title="Waves",
            ends_at=self.clock.now() + 12 * 3600,
        )
        return (await self.sessions.refresh(session)).token

    async def client(self, user: str, role: Role = "learner", **course: str) -> httpx.AsyncClient:
        """A client with somebody's token."""
        return self.anybody({"Authorization": f"Bearer {await self.token(user, role, **course)}"})

    def anybody(self, headers: dict[str, str] | None = None, address: str = "203.0.113.7") -> httpx.AsyncClient:
        """A client from some address."""
        transport = httpx.ASGITransport(self.app, client=(address, 4711), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="https://guide.test", headers=headers, timeout=30)

    async def enrol(self, user: str, role: str = "learner", context: str = "course-1") -> None:
        """Make somebody a member, as a launch does."""
        arrival = msgspec.convert(
            {
                "key": CourseKey.of("t1", context),
                "platform": "p-test",
                "context": context,
                "title": "Waves",
                "return_url": None,
                "user": user,
                "name": f"Name of {user}",
                "role": role,
                "services": Services(),
            },
            Arrival,
        )
        await enrol(self.shards, self.clock, Queues(self.shards, self.clock, QueueSettings()), arrival)


@asynccontextmanager
async def reporting(directory: Path, **settings: Any) -> AsyncIterator[Reporting]:
    """A process over a data directory."""
    shards = await open_embedded(installed(directory, 2), DataSettings(shards=2))
    try:
        site = Reporting(shards, AnalyticsSettings(**settings))
        yield site
        await site.reads.close()
    finally:
        await shards.close()


def rows(scores: dict[str, list[float | None]], maximum: float = 20) -> list[dict[str, Any]]:
    """Attempts in exercises E1, E2, ... a week apart; None is not handed in."""
    return [
        {"user": user, "activity": f"E{number}", "score": score, "max": maximum, "at": f"2025-10-{7 * number:02d}"}
        for user, marks in scores.items()
        for number, score in enumerate(marks, 1)
        if score is not None
    ]
