"""Lectures are copied to other stores, looked over, healed and deleted there: on a real S3 service."""

import asyncio
import hashlib
from pathlib import Path

import msgspec
import obstore
import pytest

from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.looking import look
from atomic_guide.engines.assets.manifest import place_of
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.data.database import Transaction
from tests.copying import PLAIN, assets, copied, course, spread_of
from tests.faulty import faulty
from tests.media import clip, opened, until, upload
from tests.s3 import S3, client, names_in

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("clip") / "a.mp4", size="320x180", seconds=1).read_bytes()


async def test_a_lecture_is_copied_whole_and_verified(tmp_path: Path, service: S3, lecture: bytes) -> None:
    us = service.store("whole", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        found = {one.store: one for one in await made.spread.parts.catalog.replicas("t-test", made.video)}
        listed = await made.listed()
        manifest = await made.spread.parts.manifest(listed)
        assert set(found) == {LOCAL, "whole"}
        assert {one.held for one in found.values()} == {listed.list}
        assert {"source", PLAIN} < {entry.name for entry in manifest.entries}
        assert set(names_in(us)) == {
            place_of(listed.prefix, digest) for digest in [listed.list, *(entry.sha256 for entry in manifest.entries)]
        }
        for entry in manifest.entries:
            there = bytes(obstore.get(client(us), place_of(listed.prefix, entry.sha256)).bytes())
            assert hashlib.sha256(there).hexdigest() == entry.sha256
            assert there == await made.studio.media.store.read(f"{listed.prefix}/{entry.name}")


@pytest.mark.parametrize("harm", ["altered", "truncated", "missing"])
async def test_what_is_not_as_it_was_is_found_and_healed(
    tmp_path: Path, service: S3, lecture: bytes, harm: str
) -> None:
    us = service.store(f"harm-{harm}", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        entry, place = await made.entry()
        good = bytes(obstore.get(client(us), place).bytes())
        bad = {"altered": bytes([good[0] ^ 1]) + good[1:], "truncated": good[:-7], "missing": b""}[harm]
        if harm == "missing":
            obstore.delete(client(us), place)
        else:
            obstore.put(client(us), place, bad, use_multipart=False)
        seen = await look(made.spread.parts, await made.listed(), us.name, heal=False)
        assert [(one.name, one.outcome, one.healed_from) for one in seen.findings] == [(PLAIN, harm, None)]
        assert (await copied(made.studio, made.video, "verified", "failed"))[us.name].error == f"1 objects {harm}"
        healed = await look(made.spread.parts, await made.listed(), us.name, heal=True)
        assert [one.healed_from for one in healed.findings] == [LOCAL]
        assert bytes(obstore.get(client(us), place).bytes()) == good
        await copied(made.studio, made.video, "verified")
        assert entry.size == len(good)


@pytest.mark.parametrize("harm", ["altered", "missing"])
async def test_the_data_directory_is_healed_from_another_store(
    tmp_path: Path, service: S3, lecture: bytes, harm: str
) -> None:
    us = service.store(f"local-{harm}", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        listed = await made.listed()
        path = tmp_path / "data" / "objects" / listed.prefix / PLAIN
        good = path.read_bytes()
        if harm == "altered":
            path.write_bytes(b"x" + good[1:])
        else:
            path.unlink()
        healed = await look(made.spread.parts, listed, LOCAL, heal=True)
        assert [(one.outcome, one.healed_from) for one in healed.findings] == [(harm, us.name)]
        assert path.read_bytes() == good


async def test_an_altered_file_is_copied_nowhere(tmp_path: Path, service: S3, lecture: bytes) -> None:
    """And where no store has a good copy of it, that is said and nothing is overwritten."""
    us = service.store("nowhere", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        listed = await made.listed()
        _, place = await made.entry()
        path = tmp_path / "data" / "objects" / listed.prefix / PLAIN
        path.write_bytes(b"x" + path.read_bytes()[1:])
        obstore.delete(client(us), place)
        looked = await look(made.spread.parts, listed, us.name, heal=True)
        assert [(one.outcome, one.healed_from) for one in looked.findings] == [("missing", None)]
        assert place not in names_in(us)


async def test_a_store_that_fails_often_gets_everything_in_the_end(tmp_path: Path, service: S3, lecture: bytes) -> None:
    async with faulty(service.url, 0.3) as proxy:
        us = service.store("fails", "us", endpoint=proxy.url)
        async with course(tmp_path, lecture, assets(us)) as made:
            assert proxy.calls["busy"] + proxy.calls["broken"] > 0
            proxy.share = 0.0
            looked = await look(made.spread.parts, await made.listed(), us.name, heal=False)
            assert looked.findings == []


async def test_a_deleted_lecture_goes_from_every_store_and_the_receipt_says_when(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    async with faulty(service.url) as proxy:
        us, ap = service.store("gone-us", "us"), service.store("gone-ap", "ap", endpoint=proxy.url)
        async with course(tmp_path, lecture, assets(us, ap)) as made:
            listed = await made.listed()
            proxy.away = True
            assert (await made.teacher.delete(f"/api/video/{made.video}")).status_code == 204
            receipt = (await made.spread.deletions.latest(5))[0]
            for _ in range(600):
                receipt = await made.spread.deletions.find(receipt.id)
                if {one.store: bool(one.gone_at) for one in receipt.stores} == {"gone-us": True, "gone-ap": False} and (
                    all(one.tries for one in receipt.stores)
                ):
                    break
                await asyncio.sleep(0.05)
            assert names_in(us) == {}
            assert names_in(msgspec.structs.replace(ap, endpoint=service.url)) != {}
            assert receipt.finished_at is None
            assert "gone-ap does not answer" in str(receipt.stores[0].error)
            assert await made.spread.parts.catalog.find("t-test", made.video) is None
            proxy.away = False
            await asyncio.sleep(0.2)
            receipt = await made.spread.deletions.attempt_all(receipt.id)
            assert receipt.finished_at
            assert all(one.gone_at for one in receipt.stores)
            assert made.spread.deletions.is_sealed(receipt)
            assert not made.spread.deletions.is_sealed(msgspec.structs.replace(receipt, digest="0" * 40))
            assert names_in(msgspec.structs.replace(ap, endpoint=service.url)) == {}
            assert made.video not in msgspec.json.encode(receipt).decode()
            assert listed.tenant not in msgspec.json.encode(receipt).decode()
            assert await made.spread.parts.catalog.replicas("t-test", made.video) == []


async def test_captions_follow(tmp_path: Path, service: S3, lecture: bytes) -> None:
    us = service.store("captions", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        address = f"/api/video/{made.video}/captions/en"
        text = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
        kind = {"Content-Type": "text/vtt"}
        assert (await made.teacher.put(address, content=text, headers=kind)).status_code == 200
        place = ""
        for _ in range(600):
            manifest = await made.spread.parts.manifest(await made.listed())
            entry = manifest.find("captions/en.vtt")
            if entry is not None:
                place = place_of((await made.listed()).prefix, entry.sha256)
                break
            await asyncio.sleep(0.05)
        await copied(made.studio, made.video, "verified")
        assert bytes(obstore.get(client(us), place).bytes()) == text
        assert (await made.teacher.delete(address)).status_code == 204
        for _ in range(600):
            if place not in names_in(us):
                break
            await asyncio.sleep(0.05)
        assert place not in names_in(us)


async def test_only_stores_of_the_zone_hold_a_lecture(tmp_path: Path, service: S3, lecture: bytes) -> None:
    us, eu = service.store("zone-us", "us", zone="americas"), service.store("zone-eu", "eu")
    async with course(tmp_path, lecture, assets(us, eu)) as made:
        found = await made.spread.parts.catalog.replicas("t-test", made.video)
        assert {one.store for one in found} == {LOCAL, "zone-eu"}
        assert names_in(us) == {}


async def test_lectures_of_before_are_copied_once_a_store_is_declared(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    async with opened(tmp_path / "data") as studio, studio.working():
        teacher = await studio.enter()
        video = await upload(teacher, lecture)
        await until(teacher, video, "ready")
    us = service.store("later", "us")
    async with opened(tmp_path / "data", assets=assets(us), copies=True) as studio, studio.working():
        await spread_of(studio).tend()
        assert set(await copied(studio, video, "verified")) == {LOCAL, "later"}


async def test_what_was_not_read_for_long_is_read_again(tmp_path: Path, service: S3, lecture: bytes) -> None:
    """And copies of another zone, which are another region's to read, keep none behind them from it."""
    us = service.store("scrubbed", "us")
    async with course(tmp_path, lecture, assets(us, scrub_days=0, scrub_bytes_per_second=10**9)) as made:

        async def crowd(tx: Transaction) -> None:
            for number in range(60):
                row = {"tenant": "@elsewhere", "media": f"v{number:016x}", "now": 1.0, "list": "l", "done": 1}
                place = {"place": "c", "bucket": 0, "course": "c", "objects": 1, "bytes": 1}
                await tx.execute(QUERIES["put_set"], {**row, **place})
                await tx.execute(QUERIES["want_replica"], {**row, "store": us.name})
                await tx.execute(QUERIES["end_copy"], {**row, "store": us.name})

        await made.studio.shards.directory.write(crowd)
        _, place = await made.entry()
        good = bytes(obstore.get(client(us), place).bytes())
        for bad in (b"z", b"y"):
            obstore.put(client(us), place, bad + good[1:], use_multipart=False)
            healed = made.spread.parts.found["altered", "healed"]
            await made.spread.scrub(60)
            for _ in range(600):
                if made.spread.parts.found["altered", "healed"] > healed:
                    break
                await asyncio.sleep(0.05)
            await copied(made.studio, made.video, "verified")
            assert bytes(obstore.get(client(us), place).bytes()) == good


async def test_strays_are_removed(tmp_path: Path, service: S3, lecture: bytes) -> None:
    us = service.store("strays", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        listed = await made.listed()
        stray = place_of(listed.prefix, "ab" * 32)
        obstore.put(client(us), stray, b"left over", use_multipart=False)
        looked = await look(made.spread.parts, listed, us.name, heal=True)
        assert [(one.outcome, one.healed_from) for one in looked.findings] == [("stray", "removed")]
        assert stray not in names_in(us)
