"""Making a received video playable, step by step; each step ends with a row written through the lease.

A worker that takes the job over finds by that row what is complete, and makes only the rest. The lowest rendition
comes first: then the video is `playable`; its preview and the other renditions follow, and it is `ready`.

A video that is processed again plays from its present renditions all the while: the new ones are made beside them,
under names of their own, and take their place in one write when the last is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.course.video import preview, reasons
from atomic_guide.course.video.folders import media_prefix
from atomic_guide.course.video.ladder import Rung, ladder, most_bytes
from atomic_guide.course.video.transcode import Making, Transcoder, join
from atomic_guide.course.video.videos import Parts, Remaking, Step, Video
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import NotFound, OutOfSpace, Permanent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.course.video.preview import Preview
    from atomic_guide.course.video.probe import Source
    from atomic_guide.course.video.progressing import Progressing
    from atomic_guide.course.video.transcode import Rendition

_CHECK_SHARE = 0.02
_POSTER_SHARE = 0.05
_PREVIEW = "preview"
_PLAYLIST = "index.m3u8"


class Share(NamedTuple):
    """Which part of the whole work something is, 0 to 1."""

    begin: float
    end: float


class Maker:
    """Makes what is missing of a video."""

    def __init__(self, parts: Parts, transcoder: Transcoder) -> None:
        self._parts = parts
        self._transcoder = transcoder

    async def make(self, video: Progressing, folder: Path) -> None:
        """Make every rendition, the lowest first, and between them poster and preview. Raises `Permanent`."""
        if not video.video.renditions:
            await video.change(status="processing")
        async with self._source(video, folder) as path:
            await video.step("checked", "running")
            source = await self._transcoder.check(path, folder)
            rungs = ladder(source.picture, self._parts.settings.heights)
            await video.change(duration=source.duration, steps=_steps_of(video.video, source, rungs))
            await self._poster(video, path, folder, source)
            await self._renditions(video, (path, folder), source, rungs)

    @contextlib.asynccontextmanager
    async def _source(self, video: Progressing, folder: Path) -> AsyncIterator[Path]:
        """What a lecture is made from: the uploaded file, else the best quality there is. Raises `Permanent`."""
        store, name = self._parts.store, f"{_prefix(video)}/source"
        try:
            await store.head(name)
        except NotFound as error:
            if video.video.remaking is None or not video.video.renditions:
                raise Permanent("The uploaded file is gone. Upload it again.") from error
            best = max(video.video.renditions, key=lambda one: (one.height, one.bandwidth))
            joined = folder / "best.mp4"
            async with store.local_folder(f"{_prefix(video)}/{best.place}", [_PLAYLIST]) as made:
                await asyncio.to_thread(join, made, joined)
            yield joined
            joined.unlink()
            return
        async with store.local_file(name) as path:
            yield path

    async def broken(self, video: Progressing, folder: Path) -> list[str]:
        """The renditions that cannot be read back from the store; of the new ones where they are remade."""
        found = []
        for one in _made(video.video):
            try:
                async with self._parts.store.local_folder(f"{_prefix(video)}/{one.place}", [_PLAYLIST]) as made:
                    good = await self._transcoder.verify(made, folder, video.video.duration)
            except NotFound:
                good = False
            if not good:
                found.append(one.name)
        return found

    async def _renditions(
        self, video: Progressing, where: tuple[Path, Path], source: Source, rungs: list[Rung]
    ) -> None:
        done = {one.name for one in _made(video.video)}
        sound = ""
        if any(rung.name not in done for rung in rungs):
            sound = await self._transcoder.sound(*where, source)
        weights = [max(rung.width * rung.height, 1) for rung in rungs]
        for number, rung in enumerate(rungs):
            if rung.name not in done:
                shares = [sum(weights[:end]) / sum(weights) for end in (number, number + 1)]
                await self._rendition(video, Making(where[0], source, sound), where[1], rung, Share(*shares))
            if number == 0:
                await self._preview(video, where[1], source)

    async def _poster(self, video: Progressing, path: Path, folder: Path, source: Source) -> None:
        if video.video.poster:
            return
        await video.step("poster", "running", progress=max(video.video.progress, _CHECK_SHARE))
        still = await self._transcoder.poster(path, folder, source)
        if still is not None:
            size = still.stat().st_size
            await self._parts.store.adopt([(still, f"{_prefix(video)}/poster.jpg")])
            await video.step("poster", "done", poster=True, derived=video.video.derived + size)
        else:
            await video.step("poster", "done")

    async def _rendition(self, video: Progressing, making: Making, folder: Path, rung: Rung, share: Share) -> None:
        self._parts.store.check_space()
        await expand_shown(self._parts, video, most_bytes(rung, making.source.duration))
        place = _named(video.video, rung.name)
        folder = folder / place
        folder.mkdir(mode=0o700)
        begin, end = (_POSTER_SHARE + (1 - _POSTER_SHARE) * edge for edge in share)
        duration = making.source.duration

        async def progress(seconds: float) -> None:
            await video.progress(begin + (end - begin) * min(1.0, seconds / (duration or seconds)))

        await video.step(rung.name, "running", progress=max(video.video.progress, begin))
        made = await self._transcoder.rendition(making, folder, rung, progress)
        if place != rung.name:
            made = msgspec.structs.replace(made, folder=place)
        # The playlist last: where it is, everything that it names is.
        files = sorted(folder.iterdir(), key=lambda file: (file.suffix == ".m3u8", file.name))
        await self._parts.store.adopt([(file, f"{_prefix(video)}/{place}/{file.name}") for file in files])
        await self._note_rendition(video, made, min(end, 0.999))
        await measure_shown(self._parts, video)

    async def _note_rendition(self, video: Progressing, made: Rendition, share: float) -> None:
        remaking = video.video.remaking
        if remaking is not None:
            remaking = msgspec.structs.replace(remaking, renditions=[*remaking.renditions, made])
            await video.step(made.name, "done", remaking=remaking)
            return
        await video.step(
            made.name,
            "done",
            status="playable",
            progress=max(video.video.progress, share),
            renditions=[*video.video.renditions, made],
            derived=video.video.derived + made.bytes,
        )

    async def _preview(self, video: Progressing, folder: Path, source: Source) -> None:
        """Make the preview; a lecture without one plays all the same."""
        remaking = video.video.remaking
        if source.picture is None or (remaking.preview if remaking else video.video.preview) is not None:
            return
        picture, duration = source.picture, source.duration or 0.0
        wanted = preview.plan(duration, picture.width, picture.height, self._parts.settings.segment_seconds)
        folder = folder / _PREVIEW
        folder.mkdir(mode=0o700)
        await video.step(_PREVIEW, "running")
        lowest = _made(video.video)[0]
        try:
            async with self._parts.store.local_folder(f"{_prefix(video)}/{lowest.place}", [_PLAYLIST]) as parts:
                made = await self._transcoder.preview(parts, folder, wanted)
        except Permanent:
            made = None
        if made is None:
            await video.step(_PREVIEW, "failed")
            return
        made = msgspec.structs.replace(made, folder=_named(video.video, _PREVIEW))
        files = [(file, f"{_prefix(video)}/{made.folder}/{file.name}") for file in sorted(folder.iterdir())]
        await self._parts.store.adopt(files)
        await self._note_preview(video, made)

    async def _note_preview(self, video: Progressing, made: Preview) -> None:
        remaking = video.video.remaking
        if remaking is not None:
            await video.step(_PREVIEW, "done", remaking=msgspec.structs.replace(remaking, preview=made))
        else:
            await video.step(_PREVIEW, "done", preview=made, derived=video.video.derived + made.bytes)


def replaced(video: Video, remaking: Remaking) -> Video:
    """A video with its second set of qualities in place of the first."""
    sizes = [one.bytes for one in (*remaking.renditions, *((remaking.preview,) if remaking.preview else ()))]
    return msgspec.structs.replace(
        video, renditions=remaking.renditions, preview=remaking.preview, derived=sum(sizes), remaking=None
    )


async def measure_shown(parts: Parts, video: Progressing) -> None:
    """Count the files that a lecture shows, its own or another's."""
    await parts.account.measure(*_counted(video))


async def expand_shown(parts: Parts, video: Progressing, more: int) -> None:
    """Set `more` bytes aside beside the files that a lecture shows. Raises `Permanent` where they do not fit."""
    try:
        await parts.account.expand(*_counted(video), more)
    except OutOfSpace as error:
        raise Permanent(reasons.over_quota(error.message)) from error


async def note_shown(parts: Parts, video: Progressing) -> None:
    """Have copies follow what has changed of the files that a lecture shows."""
    if parts.spread is not None:
        course, _, owner = video.video.origin.partition("/")
        await parts.spread.note(video.key, course or video.key.course, owner or video.video.id)


def _counted(video: Progressing) -> tuple[CourseKey, str]:
    """Under which lecture the files are counted that one shows."""
    course, _, owner = video.video.origin.partition("/")
    return (CourseKey(video.key.tenant, course, 0), owner) if owner else (video.key, video.video.id)


def _prefix(video: Progressing) -> str:
    return media_prefix(video.key, video.video.id, video.video.origin)


def _made(video: Video) -> list[Rendition]:
    return video.remaking.renditions if video.remaking is not None else video.renditions


def _named(video: Video, name: str) -> str:
    """The folder of something that is made now."""
    return f"{name}-{video.remaking.mark}" if video.remaking is not None else name


def _steps_of(video: Video, source: Source, rungs: list[Rung]) -> list[Step]:
    """The steps of a checked video: what is done by its row, what waits."""
    made = {one.name for one in _made(video)}
    names = [("received", True), ("checked", True), ("poster", video.poster)]
    names += [(rung.name, rung.name in made) for rung in rungs]
    if source.picture is not None:
        shown = video.remaking.preview if video.remaking is not None else video.preview
        names.insert(4, (_PREVIEW, shown is not None))
    return [Step(name, "done" if done else "waiting") for name, done in names]
