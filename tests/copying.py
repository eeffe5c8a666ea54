"""Lectures with copies in tests: a course of which one is ready and has been brought to every store."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.space.account import Counted
from atomic_guide.course.video.spread.catalog import Listed, Replica
from atomic_guide.course.video.spread.looking import Looked, look
from atomic_guide.course.video.spread.spread import Spread
from atomic_guide.course.video.transcode import Rendition
from atomic_guide.course.video.videos import QUERIES, to_text
from atomic_guide.engines.assets.manifest import Entry, place_of
from atomic_guide.engines.assets.settings import AssetSettings, CopySettings, StoreSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
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


async def stock(studio: Studio, lectures: int, objects: int, size: int) -> list[tuple[CourseKey, str]]:
    """Lectures that are ready, each of so many segments of random bytes, in courses of their own; not listed yet."""
    made = []
    for number in range(lectures):
        key, video = studio.key(f"course-{number}"), f"v{number:016x}"
        rendition = Rendition("480p", 480, 854, 1, 1, "avc1", objects * size)
        row = {
            **key.columns,
            "id": video,
            **dict.fromkeys(("title", "filename", "uploader"), "x"),
            **dict.fromkeys(("steps", "captions", "chapters"), "[]"),
            "renditions": to_text([rendition]),
            "size": 0,
            "derived": objects * size,
            "duration": 1.0,
            "poster": False,
            "at": studio.clock.now(),
            "origin": "",
            "preview": None,
        }

        async def work(tx: Transaction, row: dict[str, Any] = row) -> None:
            await tx.execute(QUERIES["add_copy"], row)

        folder = studio.media.directory / "made"
        folder.mkdir(exist_ok=True)
        files = [(folder / f"{each}", f"{prefix_of(key, video)}/480p/{each:05}.m4s") for each in range(objects)]
        for path, _ in files:
            path.write_bytes(os.urandom(size))
        await studio.media.store.adopt(files)
        await studio.media.parts.account.add(key.tenant, [Counted(key, video, "", objects * size)])
        await studio.shards.of(key).write(work)
        made.append((key, video))
    return made


async def all_verified(studio: Studio, copies: int, seconds: float) -> None:
    """Wait until so many copies are verified, and none is anything else."""
    seen: dict[str, int] = {}
    async with asyncio.timeout(seconds):
        while seen != {"verified": copies}:
            await asyncio.sleep(0.1)
            seen = {}
            for one in await spread_of(studio).parts.catalog.counts():
                seen[one.state] = seen.get(one.state, 0) + one.sets
