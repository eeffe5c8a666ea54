"""A lecture of each zone that has buckets: uploaded, made, copied, played nearby, altered and healed, deleted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from atomic_guide.app.rehearsal.ground import OPERATOR, Ground
from atomic_guide.app.rehearsal.people import Visit
from atomic_guide.app.rehearsal.plan import CENTRAL, EAST, NORTH, PLACES, Tenant
from atomic_guide.course.video.ffmpeg import Ffmpeg
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.errors import GuideError, Unavailable

_WAIT_SECONDS = 120.0
"""How long making, copying, healing or deleting may take on a slow machine."""
_LOOK_SECONDS = 0.1
_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}

Find = Callable[[str, bool, str], None]


class Lecture(NamedTuple):
    """A lecture that is ready: whose, and the path of one of its segments, signed."""

    visit: Visit
    id: str
    segment: str

    @property
    def tenant(self) -> Tenant:
        """Whose it is."""
        return self.visit.tenant

    @property
    def buckets(self) -> list[str]:
        """The regions whose buckets shall hold it: those of its zone."""
        return bucket_regions(self.tenant.zone)

    @property
    def stores(self) -> set[str]:
        """All stores that shall hold it."""
        return {"local", *self.buckets}


def bucket_regions(zone: str) -> list[str]:
    """The regions whose bucket belongs to a zone."""
    return [place.name for place in PLACES if place.zones[0] == zone]


class Lectures:
    """The lectures of a rehearsal; `find` is told what was found, `figures` get what was measured."""

    def __init__(self, ground: Ground, find: Find, figures: dict[str, Any]) -> None:
        self._ground = ground
        self._find = find
        self._figures = figures
        self._made: list[Lecture] = []
        self._client = httpx.AsyncClient(timeout=10, trust_env=False)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def make(self, visits: list[Visit]) -> None:
        """Upload one for each tenant whose zone has buckets, and wait until every store has a verified copy."""
        clip = await _clip(self._ground.folder)
        began = time.monotonic()
        hosts = [visit for visit in visits if bucket_regions(visit.tenant.zone)]
        self._made = list(await asyncio.gather(*(self._uploaded(visit, clip) for visit in hosts)))
        ready = time.monotonic()
        copied = [await self._until(lambda one=one: self._copied(one)) for one in self._made]  # type: ignore[misc]
        self._figures["lectures ready after s"] = round(ready - began, 1)
        self._figures["lectures copied after s"] = round(time.monotonic() - ready, 1)
        self._find(
            "a lecture is copied to every bucket of its tenant's zone, and verified there",
            all(copied),
            ", ".join(f"{one.tenant.name}: {', '.join(one.buckets)}" for one in self._made),
        )

    async def play(self) -> None:
        """At home, in the other region of the zone and on a journey somebody gets the same bytes from the nearest."""
        lecture = self._made[0]
        home = await self._played(CENTRAL, lecture, "DE")
        near = await self._played(CENTRAL, lecture, "SE")
        away = await self._played(CENTRAL, lecture, "US")
        self._find(
            "a lecture is played from the nearest region that holds a verified copy, and never from another zone's",
            home.content == near.content == away.content != b"" and near.bucket == NORTH and away.bucket != EAST,
            f"from Germany: {home.bucket or 'the region itself'}, from Sweden: bucket of {near.bucket},"
            f" from America: {away.bucket or CENTRAL}",
        )

    async def play_without(self, since: float) -> None:
        """While its home region is away, the lecture comes from the second one."""
        lecture = self._made[0]

        async def well() -> bool:
            return (await self._played(NORTH, lecture, "DE")).content != b""

        plays = await self._until(well)
        after = round(time.monotonic() - since, 2)
        self._figures[f"{lecture.tenant.name} plays again after s"] = after
        self._find("a lecture plays on from the second region's bucket", plays, f"after {after} s")

    async def heal(self) -> None:
        """An object is altered in one bucket; looking the copy over finds it and puts it right."""
        lecture, buckets = self._made[0], self._ground.buckets
        before = await self._objects(NORTH, lecture)
        name = max(before, key=lambda one: len(before[one]))
        await buckets.put(NORTH, name, bytes(len(before[name])))
        asked = {"lecture": lecture.id, "store": NORTH}
        url = f"{self._ground.guides[CENTRAL].url}/api/ops/assets/repair"
        began = time.monotonic()
        answer = await self._client.post(url, json=asked, headers=_OPERATOR)

        async def healed() -> bool:
            return (await buckets.get(NORTH, name)) == before[name]

        well = answer.status_code == httpx.codes.ACCEPTED and await self._until(healed)
        self._find(
            "an object that was altered in one bucket is found and healed",
            well and await self._until(lambda: self._copied(lecture)),
            f"{len(before[name])} bytes, after {time.monotonic() - began:.1f} s",
        )

    async def delete(self, tenants: tuple[Tenant, ...]) -> None:
        """Lectures are deleted; every store says so, and nothing is left in any bucket."""
        gone = [one for one in self._made if one.tenant in tenants]
        for lecture in gone:
            await lecture.visit.call("DELETE", f"/api/video/{lecture.id}", lecture.tenant.home)
        url = f"{self._ground.guides[EAST].url}/api/ops/assets/deletions"
        receipts: list[dict[str, Any]] = []

        async def told() -> bool:
            receipts[:] = (await self._client.get(url, headers=_OPERATOR)).json()["deletions"]
            return len(receipts) >= len(gone) and all(one["finished_at"] and one["seal"] for one in receipts)

        finished = await self._until(told)
        left = [name for one in gone for region in one.buckets for name in await self._objects(region, one)]
        stores = [answer for receipt in receipts for answer in receipt["stores"]]
        self._find(
            "a deleted lecture goes from every bucket, with a sealed receipt",
            finished and not left and bool(gone),
            f"{len(receipts)} receipts: " + ", ".join(f"{one['store']} {one['objects']} objects" for one in stores)
            + (f"; {len(left)} objects are left" if left else ""),
        )  # fmt: skip

    async def _uploaded(self, visit: Visit, clip: bytes) -> Lecture:
        tenant = visit.tenant
        sent = await visit.call("POST", "/api/video/upload", tenant.home, files={"file": ("lecture.mp4", clip)},
                                data={"title": tenant.title})  # fmt: skip
        if sent.status_code != httpx.codes.ACCEPTED:
            raise Unavailable(f"the upload of {tenant.name} was answered with {sent.status_code}: {sent.text[:200]}")
        video = sent.json()["id"]
        shown: dict[str, Any] = {}

        async def ready() -> bool:
            shown.update((await visit.call("GET", f"/api/video/{video}", tenant.home)).json())
            return shown.get("status") == "ready"

        # Words of the tenant in an object: whoever finds them in a bucket has found the lecture.
        await visit.call("PUT", f"/api/video/{video}/captions/en", tenant.home,
                         content=f"WEBVTT\n\n00:00.000 --> 00:01.000\n{tenant.word}\n",
                         headers={"Content-Type": "text/vtt"})  # fmt: skip
        if not await self._until(ready):
            raise Unavailable(f"the lecture of {tenant.name} is not made: {shown.get('reason') or shown.get('status')}")
        playlist = await visit.call("GET", shown["playback"], tenant.home)
        rendition = playlist.text.split()[-1].partition("/")[0]
        return Lecture(visit, video, f"{shown['playback'].rpartition('/')[0]}/{rendition}/init.mp4")

    async def _copied(self, lecture: Lecture) -> bool:
        url = f"{self._ground.guides[lecture.tenant.home].url}/api/ops/assets/replicas"
        answer = await self._client.get(url, params={"lecture": lecture.id}, headers=_OPERATOR)
        states = {one["store"]: one["state"] for one in answer.json()["replicas"]}
        return set(states) == lecture.stores and set(states.values()) == {"verified"}

    async def _objects(self, region: str, lecture: Lecture) -> dict[str, bytes]:
        found = await self._ground.buckets.objects(region)
        return {name: content for name, content in found.items() if f"/{lecture.id}/" in name}

    async def _played(self, region: str, lecture: Lecture, country: str) -> _Played:
        """A segment as somebody in a country gets it; nothing where that fails."""
        url = f"{self._ground.guides[region].url}{lecture.segment}"
        bucket = ""
        answer = await self._client.get(url, headers={"CF-IPCountry": country})
        if answer.status_code == httpx.codes.TEMPORARY_REDIRECT:
            address = answer.headers["location"]
            bucket = self._ground.buckets.region_of(urlsplit(address).port or 0)
            answer = await self._client.get(address)
        return _Played(answer.content if answer.status_code == httpx.codes.OK else b"", bucket)

    async def _until(self, true: Callable[[], Awaitable[bool]]) -> bool:
        """Whether something becomes so in time; what does not answer meanwhile is asked again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                while True:
                    with contextlib.suppress(httpx.HTTPError, GuideError, KeyError):
                        if await true():
                            return True
                    await asyncio.sleep(_LOOK_SECONDS)
        return False


class _Played(NamedTuple):
    content: bytes
    bucket: str
    """The region whose bucket it came from; empty: from the server that was asked."""


async def _clip(folder: Path) -> bytes:
    """A second of a test picture with a tone."""
    ffmpeg, made = Ffmpeg(VideoSettings()), folder / "clip"
    made.mkdir()
    (made / "source").touch()
    arguments = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1",
                 "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "clip.mp4"]  # fmt: skip
    report = await ffmpeg.run(arguments, made / "source", made, ffmpeg.bounds(1))
    if report.status:
        raise Unavailable(f"the rehearsal's clip was not made: {report.tail.strip()[-200:]}")
    return await asyncio.to_thread((made / "clip.mp4").read_bytes)
