"""Lectures are copied to other stores: on a real S3 service."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from atomic_guide.course.video.spread.catalog import Replica
from atomic_guide.engines.assets.settings import AssetSettings, CopySettings, StoreSettings
from tests.media import Studio, clip, opened, until, upload
from tests.s3 import S3, client, names_in, s3_service

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_service(tmp_path_factory.mktemp("s3")) as running:
        yield running


def assets(*stores: StoreSettings, **copies: float) -> AssetSettings:
    return AssetSettings(
        least_free_bytes=0,
        stores=stores,
        copies=CopySettings(call_seconds=5, call_retries=0, **copies),  # type: ignore[arg-type]
    )


async def copied(studio: Studio, media: str, *states: str) -> dict[str, Replica]:
    """Wait until every store has said something of a lecture in one of some states."""
    spread = studio.media.parts.spread
    assert spread is not None
    found: dict[str, Replica] = {}
    for _ in range(600):
        found = {one.store: one for one in await spread.parts.catalog.replicas("t-test", media)}
        if found and all(one.state in states for one in found.values()):
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"the copies stay so: {found}")


async def test_a_lecture_is_copied_whole_and_verified(tmp_path: Path, service: S3) -> None:
    us = service.store("first-us", "us")
    content = clip(tmp_path / "a.mp4").read_bytes()
    async with opened(tmp_path / "data", assets=assets(us), copies=True) as studio, studio.working():
        teacher = await studio.enter()
        video = await upload(teacher, content)
        await until(teacher, video, "ready")
        found = await copied(studio, video, "verified")
        assert set(found) == {"local", "first-us"}
        spread = studio.media.parts.spread
        assert spread is not None
        listed = await spread.parts.catalog.find("t-test", video)
        assert listed is not None
        manifest = await spread.parts.manifest(listed)
        assert found["first-us"].held == listed.list
        stored = names_in(us)
        assert set(stored) == {
            f"{listed.prefix}/{name}" for name in [listed.list, *(e.sha256 for e in manifest.entries)]
        }
        for entry in manifest.entries:
            bytes_there = bytes(obstore.get(client(us), f"{listed.prefix}/{entry.sha256}").bytes())
            assert hashlib.sha256(bytes_there).hexdigest() == entry.sha256
            assert bytes_there == await studio.media.store.read(f"{listed.prefix}/{entry.name}")
        assert "source" in {entry.name for entry in manifest.entries}
