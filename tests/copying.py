"""Lectures with copies in tests: a course of which one is ready and has been brought to every store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from atomic_guide.course.video.spread.catalog import Listed, Replica
from atomic_guide.course.video.spread.looking import Looked, look
from atomic_guide.course.video.spread.spread import Spread
from atomic_guide.engines.assets.manifest import Entry, place_of
from atomic_guide.engines.assets.settings import AssetSettings, CopySettings, StoreSettings
from tests.media import Studio, opened, until, upload

PLAIN = "poster.jpg"


def assets(*stores: StoreSettings, **copies: float) -> AssetSettings:
    quick = CopySettings(call_seconds=5, call_retries=0, breaker_seconds=0.1)
    quick = msgspec.structs.replace(quick, **copies)
    return AssetSettings(least_free_bytes=0, stores=stores, copies=quick)


def spread_of(studio: Studio) -> Spread:
    assert studio.media.parts.spread is not None
    return studio.media.parts.spread


async def copied(studio: Studio, media: str, *states: str) -> dict[str, Replica]:
    """Wait until every copy of a lecture is in one of some states."""
    found: dict[str, Replica] = {}
    for _ in range(1200):
        found = {one.store: one for one in await spread_of(studio).parts.catalog.replicas("t-test", media)}
        if found and all(one.state in states for one in found.values()):
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"the copies stay so: {found}")


class Course:
    """A course with one lecture that is ready, and copied."""

    def __init__(self, studio: Studio, teacher: httpx.AsyncClient, video: str) -> None:
        self.studio = studio
        self.teacher = teacher
        self.video = video
        self.spread = spread_of(studio)

    async def listed(self) -> Listed:
        found = await self.spread.parts.catalog.find("t-test", self.video)
        assert found is not None
        return found

    async def entry(self, name: str = PLAIN) -> tuple[Entry, str]:
        """An entry of the list, and its name in other stores."""
        listed = await self.listed()
        entry = (await self.spread.parts.manifest(listed)).find(name)
        assert entry is not None
        return entry, place_of(listed.prefix, entry.sha256)


@asynccontextmanager
async def course(tmp_path: Path, content: bytes, settings: AssetSettings) -> AsyncIterator[Course]:
    async with opened(tmp_path / "data", assets=settings, copies=True) as studio, studio.working():
        teacher = await studio.enter()
        video = await upload(teacher, content)
        await until(teacher, video, "ready")
        await copied(studio, video, "verified")
        yield Course(studio, teacher, video)


async def looked_over(made: Course, store: str, *, heal: bool) -> Looked:
    """What looking over a store finds; what is served afterwards knows of it."""
    found = await look(made.spread.parts, await made.listed(), store, heal=heal)
    made.spread.serving.forget()
    return found
