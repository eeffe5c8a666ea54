"""The main store of lectures is a bucket: uploaded, made, played, healed, and deleted there; on a real S3 service."""

import asyncio
import shutil
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import obstore
import pytest
from click.testing import CliRunner, Result
from starlette.types import Receive, Scope, Send

from atomic_guide.app.carrying_lectures import Carried, Wanted, carry, source_of
from atomic_guide.app.doctor_lectures import left_behind, tried
from atomic_guide.app.keeping.lectures import Lectures, compare_backup
from atomic_guide.app.keeping.manifest import Found
from atomic_guide.app.keeping.origins import FromBackup
from atomic_guide.app.keeping.restore import Ledgers, restore
from atomic_guide.app.keeping.take import take
from atomic_guide.app.keeping.verify import verify
from atomic_guide.app.residency import look as residency
from atomic_guide.cli import program
from atomic_guide.clock import ManualClock
from atomic_guide.config import Settings, load_settings
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.space.account import QUERIES as SPACE
from atomic_guide.course.video.spread import cooling
from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.jobs import relisted
from atomic_guide.course.video.spread.listing import shown_of
from atomic_guide.course.video.spread.looking import look
from atomic_guide.course.video.spread.parts import QUEUE as COPYING
from atomic_guide.course.video.spread.spread import Spread
from atomic_guide.course.watching.taking import QUERIES as WATCHING
from atomic_guide.engines.assets.settings import LOCAL, AssetSettings, StoreSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.queues.overview import count_live
from atomic_guide.errors import Invalid, NotFound, Unavailable
from atomic_guide.operations.costs.advise.gather import cooled_bytes
from atomic_guide.web.routing import ELSEWHERE
from tests.copying import PLAIN, Course, assets, copied, course, spread_of, stock
from tests.engines import opened_shards
from tests.faulty import faulty
from tests.media import TUS, Studio, clip, code, create, opened, patch, until, upload
from tests.postgres import Cluster
from tests.s3 import S3, client, names_in

FIGURES = ("views", "viewers", "finished", "captions", "watched", "rewatched")
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("clip") / "a.mp4", size="320x180", seconds=1).read_bytes()


def kept_in(main: StoreSettings, *others: StoreSettings, **copies: float) -> AssetSettings:
    """The settings of an installation whose lectures are in a bucket."""
    return msgspec.structs.replace(assets(main, *others, **copies), main=main.name)


async def emptied(folder: Path) -> None:
    """Wait until a data directory has no file of a lecture, whole or passing."""
    folders, left = [folder / name for name in ("objects", "work", "uploads")], []
    for _ in range(600):
        left = [str(path) for each in folders for path in each.rglob("*") if path.is_file()]
        if not left:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"it has {left}")


async def elsewhere(studio: Studio, url: str, **headers: str) -> int:
    """How many bytes an answer says that a browser gets from a bucket."""
    found: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await studio.app(scope, receive, send)
        found.append(scope.get(ELSEWHERE, 0))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as asking:
        await asking.get(url, headers=headers)
    return found[0]


def spoil(main: StoreSettings, prefix: str) -> None:
    """Alter an object of a lecture, and leave its size."""
    name = f"main/{prefix}/{PLAIN}"
    obstore.put(client(main), name, b"x" + bytes(obstore.get(client(main), name).bytes())[1:], use_multipart=False)


def harm(main: StoreSettings, prefix: str) -> None:
    """Cut an object of a lecture short, and lose another and the list."""
    name = f"main/{prefix}/{PLAIN}"
    obstore.put(client(main), name, bytes(obstore.get(client(main), name).bytes())[1:], use_multipart=False)
    obstore.delete(client(main), [f"main/{prefix}/source", *names_in(main, f"main/{prefix}/lists")])


async def gone(spread: Spread) -> None:
    """Wait until every deletion has been answered."""
    for _ in range(600):
        if not await spread.deletions.waiting():
            return
        await asyncio.sleep(0.05)
    pytest.fail("a deletion is not answered")


async def test_a_lecture_is_made_played_and_deleted_in_a_bucket(tmp_path: Path, service: S3, lecture: bytes) -> None:
    main = service.store("main-eu", "eu")
    async with opened(tmp_path, assets=kept_in(main), copies=True) as studio, studio.working():
        teacher = await studio.enter()
        video = await upload(teacher, lecture)
        shown = await until(teacher, video, "ready")
        await emptied(tmp_path)
        key = studio.key()
        prefix = f"main/{key.tenant}/{key.course}/video/{video}"
        assert {f"{prefix}/source", f"{prefix}/poster.jpg"} < set(names_in(main))
        await copied(studio, video, "verified")
        held = names_in(main)
        await studio.media.uploads.sweep.turn()
        assert (await studio.media.parts.account.standing(key.tenant) or (0,))[0] == sum(held.values())
        base = shown["playback"].rpartition("/")[0]
        playlist = await teacher.get(f"{base}/{(await teacher.get(shown['playback'])).text.splitlines()[-1]}")
        assert (playlist.status_code, playlist.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
        assert playlist.headers["cache-control"].startswith("private, ")
        rendition = str(playlist.url).rpartition("/")[0]
        segment = next(line for line in playlist.text.splitlines() if line.endswith(".m4s"))
        sent = await teacher.get(f"{rendition}/{segment}")
        part_of = {"Range": "bytes=4-7"}
        seen = [await elsewhere(studio, f"{rendition}/{segment}", **headers) for headers in ({}, part_of)]
        assert (sent.status_code, sent.headers["cache-control"]) == (307, "private, no-store")
        address = sent.headers["location"]
        name = urlsplit(address).path.removeprefix(f"/{main.bucket}/")
        async with httpx.AsyncClient() as browser:
            whole = await browser.get(address)
            assert (whole.status_code, len(whole.content)) == (200, held[name])
            assert seen == [held[name], 4], "what the bucket sends is counted as sent"
            assert (whole.headers["content-type"], whole.headers["cache-control"]) == (
                "video/iso.segment",
                "private, no-store",
            )
            part = await browser.get(address, headers={"Range": "bytes=4-7"})
            assert (part.status_code, part.content) == (206, whole.content[4:8])
            assert (await browser.get(address.replace(segment, "init.mp4"))).status_code == 403, "one object only"
            assert (await browser.get(address.partition("?")[0])).status_code == 403
        assert (await teacher.get(f"{base}/source")).status_code == 404, "nobody is sent to what they uploaded"

        text = {"Content-Type": "text/vtt"}
        await teacher.put(
            f"/api/video/{video}/captions/en", content=b"WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n", headers=text
        )
        captions = (await teacher.get(f"/api/video/{video}")).json()["captions"][0]["url"]
        assert (await teacher.get(captions)).text.startswith("WEBVTT"), "a page reads these from its own origin"

        assert (await teacher.delete(f"/api/video/{video}")).status_code == 204
        await gone(spread_of(studio))
        assert names_in(main) == {}
        (receipt,) = await spread_of(studio).deletions.latest(5)
        assert [(one.store, one.objects > 0, one.gone_at is not None) for one in receipt.stores] == [
            (main.name, True, True)
        ]
        assert spread_of(studio).deletions.is_sealed(receipt)
        await emptied(tmp_path)


async def test_a_bucket_that_is_away_is_said_to_be_and_all_else_goes_on(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    async with faulty(service.url) as proxy:
        main = service.store("main-away", "eu", endpoint=proxy.url)
        direct = msgspec.structs.replace(main, endpoint=service.url)
        settings = kept_in(main, breaker_failures=1, breaker_seconds=0.5)
        async with course(tmp_path, lecture, settings) as made:
            teacher = made.teacher
            base = (await teacher.get(f"/api/video/{made.video}")).json()["playback"]
            begun = await create(teacher, len(lecture))
            address = begun.headers["location"]
            await patch(teacher, address, 0, lecture[:-1])
            proxy.away = True
            last = await patch(teacher, address, len(lecture) - 1, lecture[-1:])
            assert code(last) == (503, "UNAVAILABLE")
            for answer in (
                last,
                await teacher.post("/api/video/upload", files={"file": ("a.mp4", lecture)}, data={"title": "x"}),
                await create(teacher, len(lecture)),
                await teacher.get(f"{base.rpartition('/')[0]}/{PLAIN}"),
            ):
                assert code(answer) == (503, "UNAVAILABLE")
                assert int(answer.headers["retry-after"]) > 0
            assert main.endpoint is not None
            assert main.endpoint not in last.text
            assert (await teacher.get(base)).status_code == 200, "what needs no store is answered"
            assert len((await teacher.get("/api/video")).json()["videos"]) == 1
            assert (await teacher.delete(f"/api/video/{made.video}")).status_code == 204
            assert await made.spread.deletions.waiting() == 1
            assert names_in(direct) != {}

            proxy.away = False
            await asyncio.sleep(0.5)
            again = await teacher.head(address, headers=TUS)
            assert (again.status_code, again.headers["upload-offset"]) == (200, str(len(lecture) - 1)), (
                "as acknowledged"
            )
            assert (await patch(teacher, address, len(lecture) - 1, lecture[-1:])).status_code == 204
            second = address.rpartition("/")[2]
            await until(teacher, second, "ready")
            (receipt,) = await made.spread.deletions.latest(5)
            receipt = await made.spread.deletions.attempt_all(receipt.id)
            assert [one.gone_at is not None for one in receipt.stores] == [True]
            assert not [name for name in names_in(direct) if made.video in name]


async def test_a_receipt_counts_what_went_although_a_worker_is_ready_to_ask_too(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    async with faulty(service.url) as proxy, asyncio.timeout(120):
        main = service.store("main-counted", "eu", endpoint=proxy.url)
        async with opened(tmp_path, assets=kept_in(main), copies=True) as studio:
            async with studio.working():
                teacher = await studio.enter()
                video = await upload(teacher, lecture)
                await until(teacher, video, "ready")
                await copied(studio, video, "verified")
            count = len(names_in(msgspec.structs.replace(main, endpoint=service.url)))
            # The objects go, and what says so is on its way for as long as a worker needs to do what it can.
            proxy.held = b"POST"
            asked = asyncio.create_task(teacher.delete(f"/api/video/{video}"))
            await proxy.holding.wait()
            async with studio.working():
                states = {"queued"}
                while states & {"queued", "running"}:
                    await asyncio.sleep(0.05)
                    states = set((await count_live(studio.shards)).get(COPYING, {}))
                proxy.released.set()
                assert (await asked).status_code == 204
            (receipt,) = await spread_of(studio).deletions.latest(5)
            assert [(one.store, one.objects, one.gone_at is not None) for one in receipt.stores] == [
                (main.name, count, True)
            ]


def backed_up(settings: Settings, found: Found, *, read: bool = False) -> Awaitable[Lectures]:
    """How the bucket stands against what a backup lists."""
    return compare_backup(settings, found, lambda _: None, read=read)


async def verified(found: Found, main: StoreSettings, data: Path) -> Result:
    """What the command says of a backup and the bucket."""
    variables = {
        "ATOMIC_GUIDE_DATA": str(data),
        "ATOMIC_GUIDE_DATABASES_SHARDS": "2",
        "ATOMIC_GUIDE_ASSETS_MAIN": main.name,
        "ATOMIC_GUIDE_ASSETS_STORES": msgspec.json.encode([main]).decode(),
    }
    words = ["backup", "verify", str(found.path), "--lectures", "names"]
    return await asyncio.to_thread(CliRunner().invoke, program, words, env=variables)


async def taken(settings: Settings, folder: Path) -> Found:
    """A backup."""
    return await take(settings, folder, lambda _: None)


async def test_a_backup_lists_what_the_bucket_has_and_a_restore_names_what_it_has_lost(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    main = service.store("main-kept", "eu")
    data, backups = tmp_path / "data", tmp_path / "backups"
    settings = load_settings({"ATOMIC_GUIDE_DATA": str(data), "ATOMIC_GUIDE_DATABASES_SHARDS": "2"})
    settings = msgspec.structs.replace(settings, assets=kept_in(main))
    async with course(tmp_path, lecture, settings.assets) as made:
        second = await upload(made.teacher, lecture)
        await until(made.teacher, second, "ready")
        await copied(made.studio, second, "verified")
        held = len(names_in(main, "main/t-test"))
        seen = await residency(settings, made.studio.shards, ["t-test"], [])
        assert (seen.ok, seen.tenants[0].objects) == (True, {main.name: held})
        first, found = [await taken(settings, backups) for _ in range(2)]
        told = found.manifest
        assert (told.bucket, told.objects, told.lists, told.unlisted) == (main.name, 0, 2, 0)
        files = [{path.stat().st_ino for path in each.path.rglob("lists/**/*.json")} for each in (first, found)]
        assert files[0] == files[1], "what has not changed is not stored again"
        verify(found, None, lambda _: None)
        sound = await backed_up(settings, found, read=True)
        assert (sound.sound, sound.lectures, sound.whole, sound.objects) == (True, 2, 2, held - 2)
        prefix = (await made.listed()).prefix
        spoil(main, prefix)
        assert (await backed_up(settings, found)).sound, "names and sizes are right"
        assert (await backed_up(settings, found, read=True)).named == [f"{prefix}/{PLAIN} altered"]
        harm(main, prefix)
        assert (await made.teacher.delete(f"/api/video/{second}")).status_code == 204
    done = await restore(settings, FromBackup(found), Ledgers(None, without=True), lambda _: None)
    assert done.without_files == 1, "the one that was deleted since"
    assert done.lectures is not None
    assert {f"{prefix}/{PLAIN} truncated", f"{prefix}/source missing"} < set(done.lectures.named)
    objects = [name for name in names_in(main) if "/lists/" not in name]
    assert {name.split("/")[4] for name in objects} == {made.video}, "nothing comes back by itself"
    async with opened(data, assets=settings.assets, copies=True) as studio:
        spread = spread_of(studio)
        listed = await spread.parts.catalog.find("t-test", made.video)
        assert listed is not None
        looked = await look(spread.parts, listed, LOCAL, heal=False)
        wrong = {(each.name, each.outcome) for each in looked.findings}
        assert wrong == {("source", "missing"), (PLAIN, "truncated")}, "the lost list is there again"


async def test_a_backup_is_made_and_says_so_where_the_bucket_does_not_answer(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    main = service.store("main-mute", "eu")
    settings = load_settings({"ATOMIC_GUIDE_DATA": str(tmp_path), "ATOMIC_GUIDE_DATABASES_SHARDS": "2"})
    settings = msgspec.structs.replace(settings, assets=kept_in(main))
    async with opened(tmp_path, assets=kept_in(main), copies=True) as studio:
        ((key, media), _) = await stock(studio, 2, 2, 10)
        shown = await shown_of(spread_of(studio).parts, key, media, sources=True)
        await relisted(spread_of(studio).parts, key, key, media, shown)
    whole = await taken(settings, tmp_path / "whole")
    mute = msgspec.structs.replace(settings, assets=kept_in(msgspec.structs.replace(main, secret_key="wrong")))
    blind = await taken(mute, tmp_path / "blind")
    assert [(one.manifest.lists, one.manifest.unlisted) for one in (whole, blind)] == [(1, 1), (0, 2)]
    seen = await backed_up(settings, blind)
    assert (seen.lectures, seen.whole, seen.unlisted, seen.sound) == (2, 1, 1, True), "the bucket has the list"
    with pytest.raises(Unavailable, match="answered 403"):
        await backed_up(mute, whole)
    with pytest.raises(Invalid, match=r"are in main-mute, and assets\.main is not set"):
        await backed_up(msgspec.structs.replace(settings, assets=AssetSettings()), whole)
    assert (await verified(whole, main, tmp_path)).stdout.splitlines()[1:] == [
        "1 of 2 lectures are whole in the bucket, 2 objects; names and sizes compared",
        "lectures without a list, of which that cannot be told: 1",
    ]
    lost = next(name for name in names_in(main) if media in name and name.endswith(".m4s"))
    obstore.delete(client(main), lost)
    said = await verified(whole, main, tmp_path)
    assert f"  {lost.removeprefix('main/')} missing\n" in said.stdout
    assert "main-mute does not have all that the backup lists" in str(said.exception)
    next(whole.path.rglob("lists/**/*.json")).write_bytes(b"{}")
    with pytest.raises(Invalid, match="is not what was backed up"):
        verify(whole, None, lambda _: None)


async def test_lectures_are_carried_into_a_bucket_and_back(tmp_path: Path, service: S3, lecture: bytes) -> None:
    main = service.store("main-carried", "eu")
    data = tmp_path / "data"
    settings = load_settings({"ATOMIC_GUIDE_DATA": str(data), "ATOMIC_GUIDE_DATABASES_SHARDS": "2"})
    there, back = kept_in(main), assets(main)
    async with opened(data, assets=AssetSettings(least_free_bytes=0)) as studio, studio.working():
        teacher = await studio.enter()
        video = await upload(teacher, lecture)
        await until(teacher, video, "ready")
        held = await studio.media.store.names("t-test")

    async def carried(assets: AssetSettings, source: str, **wanted: bool) -> Carried:
        now = msgspec.structs.replace(settings, assets=assets)
        async with opened(data, assets=assets) as studio:
            names = source, assets.main or LOCAL
            return await carry(studio.media.parts, source_of(now, source), names, Wanted(**wanted), lambda _: None)

    assert (await carried(there, LOCAL, dry_run=True)).objects == len(held)
    assert names_in(main) == {}
    first = await carried(there, LOCAL)
    assert (first.lectures, first.objects, first.bytes, first.present) == (1, len(held), sum(held.values()), 0)
    assert names_in(main) == {f"main/{name}": size for name, size in held.items()}
    lost = next(name for name in names_in(main) if name.endswith(".m4s"))
    obstore.delete(client(main), lost)
    obstore.put(client(main), f"main/t-test/c1/video/{'v' + '0' * 16}/source", b"of a lecture that is no more")
    again = await carried(there, LOCAL, remove_strays=True)
    assert (again.objects, again.present, again.strays, again.removed) == (1, len(held) - 1, 1, True)
    async with opened(data, assets=there, copies=True) as studio:
        teacher = await studio.enter()
        poster = (await teacher.get(f"/api/video/{video}")).json()["poster"]
        assert f"/{main.bucket}/main/" in (await teacher.get(poster)).headers["location"]
    shutil.rmtree(data / "objects")
    assert (await carried(back, main.name)).objects == len(held)
    async with opened(data, assets=back) as studio:
        assert await studio.media.store.names("t-test") == held
        assert (await (await studio.enter()).get(poster)).status_code == 200
    with pytest.raises(Invalid, match="is the main store"):
        source_of(msgspec.structs.replace(settings, assets=there), main.name)
    with pytest.raises(NotFound, match="no bucket is called other; there are main-carried, local"):
        source_of(msgspec.structs.replace(settings, assets=back), "other")


async def test_the_doctor_tries_the_bucket(tmp_path: Path, service: S3) -> None:
    main = service.store("main-tried")
    settings = msgspec.structs.replace(load_settings({"ATOMIC_GUIDE_DATA": str(tmp_path)}), assets=kept_in(main))
    assert await tried(settings) is None
    assert names_in(main) == {}
    refused = msgspec.structs.replace(settings, assets=kept_in(msgspec.structs.replace(main, secret_key="wrong")))
    assert "answered 403" in str(await tried(refused))
    assert not left_behind(settings)
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "a").write_bytes(b"x")
    assert left_behind(settings)


async def test_a_bucket_that_fails_often_has_everything_in_the_end(tmp_path: Path, service: S3, lecture: bytes) -> None:
    async with faulty(service.url, 0.3) as proxy:
        main = service.store("main-fails", "eu", endpoint=proxy.url)
        settings = kept_in(main, call_retries=3, breaker_failures=20)
        async with course(tmp_path, lecture, settings) as made:
            assert proxy.calls["busy"] + proxy.calls["broken"] > 0
            proxy.share = 0.0
            assert (await look(made.spread.parts, await made.listed(), LOCAL, heal=False)).findings == []


@pytest.mark.parametrize("harm", ["altered", "missing"])
async def test_what_is_wrong_in_the_bucket_is_healed_from_a_copy(
    tmp_path: Path, service: S3, lecture: bytes, harm: str
) -> None:
    main, us = service.store(f"main-{harm}", "eu"), service.store(f"copy-{harm}", "us")
    async with course(tmp_path, lecture, kept_in(main, us)) as made:
        listed = await made.listed()
        assert {one.store for one in await made.spread.parts.catalog.replicas(listed.tenant, made.video)} == {
            LOCAL,
            us.name,
        }, "no copy beside itself"
        place = f"main/{listed.prefix}/{PLAIN}"
        good = bytes(obstore.get(client(main), place).bytes())
        base = (await made.teacher.get(f"/api/video/{made.video}")).json()["playback"].rpartition("/")[0]
        assert f"/{main.bucket}/main/" in (await made.teacher.get(f"{base}/{PLAIN}")).headers["location"]
        if harm == "missing":
            obstore.delete(client(main), place)
            assert f"/{us.bucket}/" in (await made.teacher.get(f"{base}/{PLAIN}")).headers["location"]
        else:
            obstore.put(client(main), place, b"x" + good[1:], use_multipart=False)
        healed = await look(made.spread.parts, listed, LOCAL, heal=True)
        assert [(one.outcome, one.healed_from) for one in healed.findings] == [(harm, us.name)]
        assert bytes(obstore.get(client(main), place).bytes()) == good


async def test_a_lecture_is_made_anew_from_what_the_bucket_has(tmp_path: Path, service: S3, lecture: bytes) -> None:
    main = service.store("main-anew", "eu")
    video = VideoSettings(keep_source=False)
    async with opened(tmp_path, assets=kept_in(main), settings=video, copies=True) as studio, studio.working():
        teacher = await studio.enter()
        made = await upload(teacher, lecture)
        await until(teacher, made, "ready")
        for _ in range(600):
            if not [name for name in names_in(main) if name.endswith("/source")]:
                break
            await asyncio.sleep(0.05)
        before = (await teacher.get(f"/api/video/{made}")).json()
        assert (await teacher.post(f"/api/video/{made}/reprocess")).status_code == 202
        for _ in range(600):
            after = (await teacher.get(f"/api/video/{made}")).json()
            if after["preview"] and not after["remaking"] and after["preview"]["sheets"] != before["preview"]["sheets"]:
                break
            await asyncio.sleep(0.05)
        assert after["status"] == "ready"
        assert (await teacher.get(after["poster"])).status_code == 307
        await emptied(tmp_path)


async def classes_of(made: Course, store: StoreSettings, folder: str = "main/") -> dict[str, str]:
    """The storage class of each object of a lecture, as the service tells it."""
    found = {}
    prefix = (await made.listed()).prefix
    async with httpx.AsyncClient() as asking:
        for name in names_in(store, f"{folder}{prefix}"):
            answer = await asking.get(await obstore.sign_async(client(store), "GET", name, timedelta(seconds=60)))
            found[name.rpartition(prefix + "/")[2]] = answer.headers.get("x-amz-storage-class", "STANDARD")
    return found


async def test_a_lecture_that_nobody_plays_goes_to_the_cool_class_and_comes_back(
    tmp_path: Path, service: S3, lecture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooling, "_LEAST_BYTES", 40_000)
    main, us = (
        msgspec.structs.replace(service.store(name, region), cool_class="STANDARD_IA")
        for name, region in (("main-cool", "eu"), ("copy-cool", "us"))
    )
    settings = msgspec.structs.replace(kept_in(main, us), cool_days=30)
    async with course(tmp_path, lecture, settings) as made:
        parts = made.spread.parts
        held, first = names_in(main), {"tenant": "t", "media": "", "limit": 9}
        copies = {**first, "last_tenant": "~", "last_media": ""}
        copied_names = names_in(us)

        foreign = {
            "tenant": "@elsewhere",
            "media": "v" + "0" * 16,
            "place": "c",
            "bucket": 0,
            "course": "c",
            "video": "v",
        }

        async def neighbour(tx: Transaction) -> None:
            row = {**foreign, "list": "l", "objects": 1, "bytes": 1, "now": 1.0}
            await tx.execute(QUERIES["put_set"], row)
            await tx.execute(SPACE["put_use"], row)

        # A lecture of another zone, whose shards are not opened here, ends no walk over the others.
        await made.studio.shards.directory.write(neighbour)

        async def settled(cool: str) -> dict[str, str]:
            await made.spread.cooling.turn()
            for _ in range(600):
                (row,) = await parts.shards.directory.read(QUERIES["page_classes"], first)
                rows = await parts.shards.directory.read(QUERIES["page_copy_classes"], copies)
                if [row["cool"], *(copy["cool"] for copy in rows if copy["store"] == us.name)] == [cool, cool]:
                    assert set((await classes_of(made, us, "")).values()) == {"STANDARD", cool or "STANDARD"}
                    return await classes_of(made, main)
                await asyncio.sleep(0.05)
            pytest.fail("the class stays")

        assert set((await settled("")).values()) == {"STANDARD"}, "it was made just now"
        parts.clock = ManualClock(made.studio.clock.now() + 31 * 86_400)
        cooled = await settled("STANDARD_IA")
        sizes = {name.partition(made.video + "/")[2]: size for name, size in held.items()}
        assert {name: kind == "STANDARD_IA" for name, kind in cooled.items()} == {
            name: size >= 40_000 and not name.startswith("lists/") for name, size in sizes.items()
        }
        assert (names_in(main), names_in(us)) == (held, copied_names)
        assert (await look(parts, await made.listed(), us.name, heal=False)).findings == []
        assert (await look(parts, await made.listed(), LOCAL, heal=False)).findings == []
        whole = sum(size for name, size in sizes.items() if cooled[name] == "STANDARD_IA")
        assert await cooled_bytes(made.studio.shards) == whole > 0
        parts.settings = msgspec.structs.replace(settings, cool_days=0)
        assert set((await settled("")).values()) == {"STANDARD"}
        assert await cooled_bytes(made.studio.shards) == 0
        parts.settings = settings
        await settled("STANDARD_IA")
        key = made.studio.key()
        figures = {
            **key.columns,
            "video": made.video,
            **dict.fromkeys(FIGURES, 1),
            "last_at": parts.clock.now() - 86_400,
        }

        async def played(tx: Transaction) -> None:
            await tx.execute(WATCHING["add_figures"], figures)

        await made.studio.shards.of(key).write(played)
        assert set((await settled("")).values()) == {"STANDARD"}, "one that is played again comes back"


async def test_any_machine_takes_the_next_part_of_an_upload(
    tmp_path: Path, service: S3, lecture: bytes, postgres_cluster: Cluster
) -> None:
    main = service.store("main-parts", "eu")
    one, two = tmp_path / "one", tmp_path / "two"
    kept = kept_in(main)
    async with (
        opened_shards("postgresql", tmp_path, postgres_cluster) as shards,
        opened(one, assets=kept, over=shards, copies=True) as first,
        opened(two, assets=kept, over=shards) as second,
    ):
        here, there = await first.enter(), await second.enter()
        address = (await create(here, len(lecture))).headers["location"]
        offset = 0
        for client_, size in ((here, 10), (there, 20), (here, 50_000), (there, 0)):
            answer = await patch(client_, address, offset, lecture[offset : offset + size])
            offset += size
            assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(offset))
        ends = (offset + 3000, offset + 7000)
        both = await asyncio.gather(
            patch(here, address, offset, lecture[offset : ends[0]]), patch(there, address, offset, b"x" * 7000)
        )
        assert sorted(answer.status_code for answer in both) == [204, 409], "one of two writers"
        offset = int((await here.head(address, headers=TUS)).headers["upload-offset"])
        assert offset == ends[both[1].status_code == 204]
        await emptied(one)
        await emptied(two)
        video = address.rpartition("/")[2]
        assert len([name for name in names_in(main) if "/incoming/" in name]) == 4, "of the loser nothing is left"
        assert (await patch(there, address, offset, lecture[offset:])).status_code == 204
        assert (await here.get(f"/api/video/{video}")).json()["status"] == "queued"
        (source,) = names_in(main)
        content = bytes(obstore.get(client(main), source).bytes())
        assert (content[:50_030], content[offset:]) == (lecture[:50_030], lecture[offset:])
        assert len(content) == len(lecture)

        address = (await create(here, 10_000)).headers["location"]
        await patch(here, address, 0, b"this is no ")
        assert code(await patch(there, address, 11, b"lecture " * 1000))[0] == 415
        address = (await create(here, len(lecture))).headers["location"]
        await patch(here, address, 0, lecture[:5000])
        assert (await there.delete(address, headers=TUS)).status_code == 204
        assert set(names_in(main)) == {source}


async def test_an_upload_that_was_begun_in_another_store_is_begun_again(
    tmp_path: Path, service: S3, lecture: bytes
) -> None:
    main = service.store("main-begun", "eu")
    async with opened(tmp_path) as before:
        teacher = await before.enter()
        address = (await create(teacher, len(lecture))).headers["location"]
        await patch(teacher, address, 0, lecture[:5000])
    async with opened(tmp_path, assets=kept_in(main)) as after:
        answer = await patch(await after.enter(), address, 5000, lecture[5000:])
        assert code(answer) == (410, "GONE")
        assert names_in(main) == {}
        await emptied(tmp_path)
