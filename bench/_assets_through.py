"""Copy many objects to three buckets, of which one fails 30% of its calls; beside boto3 in a plain loop."""

import asyncio
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import obstore

from atomic_guide.course.video.spread.looking import look
from atomic_guide.engines.assets.manifest import place_of
from atomic_guide.engines.assets.settings import AssetSettings, CopySettings, StoreSettings
from tests.copying import all_verified, spread_of, stock
from tests.faulty import faulty
from tests.media import Studio, opened
from tests.s3 import KEY, S3, SECRET, client

SHARE = 0.3


async def run(lectures: int, objects: int, size: int, seconds: float) -> None:
    """Copy `lectures` times `objects` of `size` bytes, and print how it went. Raises AssertionError if it is wrong."""
    with tempfile.TemporaryDirectory(prefix="assets-") as name, S3(Path(name) / "s3") as service:
        async with faulty(service.url, SHARE) as proxy:
            stores = (service.store("one"), service.store("two"), service.store("three", endpoint=proxy.url))
            settings = AssetSettings(least_free_bytes=0, stores=stores, copies=CopySettings(most=3, breaker_seconds=1))
            async with opened(Path(name) / "data", assets=settings, copies=True) as studio:
                await _copied(studio, (lectures, objects, size), seconds)
                failed = proxy.calls["busy"] + proxy.calls["broken"]
                print(f"  the third store failed {failed} of {proxy.calls.total()} calls")
                proxy.share = 0.0
                await _healed(studio, stores)
                _peer(studio, stores[0], lectures * objects * size)


async def _copied(studio: Studio, amount: tuple[int, int, int], seconds: float) -> None:
    lectures, objects, size = amount
    made = await stock(studio, *amount)
    begun = time.perf_counter()
    for key, video in made:
        await spread_of(studio).note(key, key.course, video)
    async with studio.working():
        await all_verified(studio, lectures * 4, seconds)
    took = time.perf_counter() - begun
    total = lectures * objects * 3
    print(f"  {lectures * objects} objects of {size} bytes to three stores: {took:.1f} s, all verified")
    print(f"  {total / took:.0f} objects/s, {total * size / took / 1e6:.1f} MB/s written and read back")


async def _healed(studio: Studio, stores: tuple[StoreSettings, ...]) -> None:
    spread = spread_of(studio)
    listed = await spread.parts.catalog.find("t-test", f"v{0:016x}")
    assert listed is not None
    entry = (await spread.parts.manifest(listed)).entries[0]
    place = place_of(listed.prefix, entry.sha256)
    obstore.put(client(stores[1]), place, bytes(entry.size), use_multipart=False)
    found = await look(spread.parts, listed, "two", heal=True)
    assert [(one.outcome, one.healed_from) for one in found.findings] == [("altered", "local")]
    assert (await look(spread.parts, listed, "two", heal=False)).findings == []
    print("  an altered object was found and healed")


def _peer(studio: Studio, store: StoreSettings, total: int) -> None:
    """boto3 puts the same files into one bucket, four at a time; it neither reads back nor notes anything."""
    plain = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    files = list((studio.media.directory / "objects").rglob("*.m4s"))

    def put(path: Path) -> None:
        plain.put_object(Bucket=store.bucket, Key=f"peer/{path}", Body=path.read_bytes())

    begun = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, files))
    took = time.perf_counter() - begun
    print(f"  boto3, put only, to one store: {len(files) / took:.0f} objects/s, {total / took / 1e6:.1f} MB/s")


def through(lectures: int = 100, objects: int = 100, size: int = 8192, seconds: float = 3600) -> None:
    """The whole run."""
    asyncio.run(run(lectures, objects, size, seconds))
