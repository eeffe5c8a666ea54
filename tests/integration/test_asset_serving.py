"""Files of lectures are had from here, or from the nearest store that really holds a verified copy of them."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import obstore
import pytest
from starlette.types import Receive, Scope, Send

from atomic_guide.engines.assets.settings import LOCAL, StoreSettings
from atomic_guide.web.crossing import COUNTRY
from tests.copying import PLAIN, Course, assets, course, looked_over
from tests.faulty import faulty
from tests.media import WORLD, clip
from tests.s3 import S3, client

pytestmark = pytest.mark.timeout(180)
COUNTRIES = {"eu": "DE", "us": "US", "ap": "SG"}


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("clip") / "a.mp4", size="320x180", seconds=1).read_bytes()


async def play(made: Course, region: str = "", path: str = PLAIN, **headers: str) -> httpx.Response:
    """A file as somebody in a region asks for it; where that is known."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if region:
            scope[COUNTRY] = COUNTRIES[region]
        await made.studio.app(scope, receive, send)

    base = (await made.teacher.get(f"/api/video/{made.video}")).json()["playback"].rpartition("/")[0]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tool.test") as asking:
        return await asking.get(f"{base}/{path}", headers=headers)


def without(made: Course, tmp_path: Path, prefix: str) -> bytes:
    """Take a file away from the data directory; what it was."""
    path = tmp_path / "data" / "objects" / prefix / PLAIN
    content = path.read_bytes()
    path.unlink()
    made.spread.serving.forget()
    return content


async def test_a_file_is_served_from_here_with_its_digest_as_its_tag(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    async with course(tmp_path, lecture, assets(service.store("serve-us", "us"))) as made:
        entry, _ = await made.entry()
        whole = await play(made)
        assert (whole.status_code, whole.headers["etag"]) == (200, f'"{entry.sha256}"')
        assert whole.headers["cache-control"].startswith("private, ")
        tag = {"If-None-Match": whole.headers["etag"]}
        assert (await play(made, **tag)).status_code == 304
        part = await play(made, Range="bytes=2-5", **{"If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, whole.content[2:6])
        assert part.headers["content-range"] == f"bytes 2-5/{entry.size}"
        stale = await play(made, Range="bytes=2-5", **{"If-Range": '"another"'})
        assert (stale.status_code, stale.content) == (200, whole.content)
        assert (await play(made, Range="bytes=-4")).content == whole.content[-4:]
        assert (await play(made, Range=f"bytes={entry.size}-")).status_code == 416
        many = await play(made, Range="bytes=" + ",".join("0-" for _ in range(1000)))
        assert (many.status_code, len(many.content)) == (200, entry.size), "once, however often it is asked for"


async def test_somebody_near_another_store_is_sent_there(
    tmp_path: Path, service: S3, lecture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    us, ap = service.store("near-us", "us"), service.store("near-ap", "ap")
    async with course(tmp_path, lecture, assets(us, ap, link_seconds=2)) as made:
        _, place = await made.entry()
        sent = await play(made, "us")
        assert sent.status_code == 307
        assert "no-store" in sent.headers["cache-control"]
        address = sent.headers["location"]
        assert urlsplit(address).path == f"/{us.bucket}/{place}"
        assert f"/{ap.bucket}/" in (await play(made, "ap")).headers["location"]
        monkeypatch.setattr(WORLD, "drained", frozenset({"us"}))
        assert (await play(made, "us")).status_code == 200, "from here: what stands in a region that is away comes last"
        monkeypatch.undo()
        async with httpx.AsyncClient() as browser:
            got = await browser.get(address)
            assert (got.status_code, got.content) == (200, (await play(made)).content)
            assert got.headers["cache-control"] == "private, no-store"
            assert got.headers["content-type"] == "image/jpeg"
            assert (await browser.get(address, headers={"Range": "bytes=0-1"})).content == got.content[:2]
            changed = address[:-1] + ("0" if address[-1] != "0" else "1")
            assert (await browser.get(changed)).status_code == 403
            listed = await made.listed()
            foreign = address.replace(place, f"{listed.prefix}/{listed.list}")
            assert (await browser.get(foreign)).status_code == 403, "the address opens one object"
            for _ in range(100):
                if (await browser.get(address)).status_code == 403:
                    break
                await asyncio.sleep(0.1)
            assert (await browser.get(address)).status_code == 403, "it expires"


async def test_a_store_that_was_found_wrong_is_not_asked_until_it_is_healed(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    us = service.store("wrong-us", "us")
    async with course(tmp_path, lecture, assets(us)) as made:
        _, place = await made.entry()
        obstore.put(client(us), place, b"something else", use_multipart=False)
        await looked_over(made, us.name, heal=False)
        assert (await play(made, "us")).status_code == 200, "from here"
        await looked_over(made, us.name, heal=True)
        assert (await play(made, "us")).status_code == 307


async def test_what_is_gone_here_is_had_from_a_bucket(tmp_path: Path, service: S3, lecture: bytes) -> None:
    async with course(tmp_path, lecture, assets(service.store("spare-us", "us"))) as made:
        content = without(made, tmp_path, (await made.listed()).prefix)
        sent = await play(made)
        assert sent.status_code == 307
        async with httpx.AsyncClient() as browser:
            assert (await browser.get(sent.headers["location"])).content == content


async def test_what_is_gone_here_is_had_from_a_mounted_directory(tmp_path: Path, lecture: bytes) -> None:
    disk = StoreSettings("disk", "eu", directory=str(tmp_path / "disk"))
    async with course(tmp_path, lecture, assets(disk)) as made:
        entry, _ = await made.entry()
        content = without(made, tmp_path, (await made.listed()).prefix)
        whole = await play(made)
        assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, content, f'"{entry.sha256}"')
        assert (await play(made, Range="bytes=3-")).content == content[3:]


async def test_a_store_that_is_away_is_said_to_be(tmp_path: Path, service: S3, lecture: bytes) -> None:
    async with faulty(service.url) as proxy:
        us = service.store("away-us", "us", endpoint=proxy.url)
        async with course(tmp_path, lecture, assets(us, breaker_failures=1, breaker_seconds=60)) as made:
            listed = await made.listed()
            proxy.away = True
            with pytest.raises(Exception, match="does not answer"):
                await made.spread.parts.remotes[us.name].size(listed.prefix)
            assert (await play(made, "us")).status_code == 200, "from here, while its store is left alone"
            without(made, tmp_path, listed.prefix)
            answer = await play(made)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0


async def test_addresses_of_others_are_refused(tmp_path: Path, service: S3, lecture: bytes) -> None:
    async with course(tmp_path, lecture, assets(service.store("others-us", "us"))) as made:
        _, place = await made.entry()
        base = (await made.teacher.get(f"/api/video/{made.video}")).json()["playback"].rpartition("/")[0]
        signed = base.split("/")[-2]
        body, _, mac = signed.partition(".")
        wrong: list[tuple[str, int]] = [
            (base.replace(made.video, "v" + "0" * 16) + f"/{PLAIN}", 403),
            (base.replace(signed, f"{body}.{mac[:-2]}AA") + f"/{PLAIN}", 403),
            (base.replace(signed, f"{body[:-2]}AA.{mac}") + f"/{PLAIN}", 403),
            (f"{base}/source", 404),
            (f"{base}/lists/{'0' * 64}.json", 404),
            (f"{base}/{place.rpartition('/')[2]}", 404),
            (f"{base}/..%2f..%2f..%2foperator-token", 404),
            (f"{base}/%2e%2e/%2e%2e/source", 404),
            (f"{base}/720p/..%00/00000.m4s", 404),
            (f"{base}/{'a/' * 500}b", 404),
        ]
        for address, status in wrong:
            answer = await made.teacher.get(address)
            assert answer.status_code == status, address
            said = answer.text
            assert not any(secret in said for secret in (str(tmp_path), service.url, "test-secret", place)), said


def test_the_local_store_is_named_apart() -> None:
    assert LOCAL not in {one.name for one in [StoreSettings("disk", directory="x")]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "../up", "directory": "x"}, StoreSettings)
