"""The videos of a course: list, one, captions, chapters, removal, and the signed addresses that play them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.video.again import reprocess
from atomic_guide.course.video.chapters import Chapter
from atomic_guide.course.video.limits import CAPTION_BYTES
from atomic_guide.course.video.preview import sheet
from atomic_guide.course.video.rules import Rules, put_rules, rules_of
from atomic_guide.course.video.videos import announcement
from atomic_guide.engines.data.session import FIRST_UNCONSTRAINED
from atomic_guide.web.bodies import read_body
from atomic_guide.web.crossing import sighted
from atomic_guide.web.ranges import Object, asked_of, same_tag, serve
from atomic_guide.web.routing import ELSEWHERE, TENANT, Call, Calls

if TYPE_CHECKING:
    from atomic_guide.course.video.playback import Playable
    from atomic_guide.course.video.spread.serving import Held
    from atomic_guide.course.video.spread.spread import Spread
    from atomic_guide.course.video.videos import Video
    from atomic_guide.engines.assets.store import Head, Store

calls = Calls()


class RenditionView(msgspec.Struct):
    """One quality of a video; `bandwidth` in bits per second."""

    name: str
    height: int
    width: int
    bandwidth: int


class CaptionsView(msgspec.Struct):
    """One caption file; `url` is signed."""

    lang: str
    label: str
    url: str


class PreviewView(msgspec.Struct):
    """Small pictures along the seek bar: tile n, by rows over the sheets, shows the lecture at n * `interval` seconds.

    A sheet has `columns` times `rows` tiles of `width` by `height` pixels; `count` tiles in all. The addresses of the
    sheets are signed.
    """

    interval: float
    count: int
    columns: int
    rows: int
    width: int
    height: int
    sheets: list[str]


class StepView(msgspec.Struct):
    """One step of the processing: done, running, waiting or failed."""

    name: str
    state: str


class VideoView(msgspec.Struct):
    """One video. `duration` in seconds, `size` in bytes, `progress` 0 to 1; the addresses are signed and expire."""

    id: str
    title: str
    status: str
    progress: float
    position: int | None
    reason: str | None
    withheld: str | None
    remaking: bool
    duration: float | None
    renditions: list[RenditionView]
    playback: str | None
    poster: str | None
    preview: PreviewView | None
    captions: list[CaptionsView]
    chapters: list[Chapter]
    size: int
    filename: str
    created_at: str
    steps: list[StepView]


class Space(msgspec.Struct):
    """Bytes of the course."""

    used: int
    limit: int


class Quota(msgspec.Struct):
    """Bytes that the lectures of all courses of the institution take, and may take."""

    used: int
    allowed: int


class Listed(msgspec.Struct):
    """The course's videos, the newest first; `quota` for instructors, once anything has been counted."""

    videos: list[VideoView]
    space: Space
    quota: Quota | None
    rules: Rules


class PutChapters(msgspec.Struct, forbid_unknown_fields=True):
    """Chapters in any order; `start` in seconds."""

    chapters: list[Chapter]


@calls.add("GET", "/api/video", access="course", reply=Listed)
async def list_videos(call: Call[None]) -> Listed:
    """List the course's videos; learners see what can be watched."""
    key = call.session.key
    rules = await rules_of(call.tool.media.parts, key)
    shown = [
        await _view(call, video, rules)
        for video in await call.tool.media.videos.of_course(key)
        if call.session.is_instructor or (video.watchable and not rules.withheld(video))
    ]
    standing = await call.tool.media.parts.account.standing(key.tenant) if call.session.is_instructor else None
    quota = Quota(*standing) if standing is not None else None
    return Listed(shown, Space(**await call.tool.media.videos.space(key)), quota, rules)


@calls.add("PUT", "/api/video/rules", access="instructor", body=Rules, reply=Rules)
async def set_rules(call: Call[Rules]) -> Rules:
    """Set whether a lecture is shown to learners before it has captions."""
    await put_rules(call.tool.media.parts, call.session.key, call.body)
    return call.body


@calls.add("GET", "/api/video/{id}", access="course", reply=VideoView, failures=(404,))
async def show_video(call: Call[None]) -> VideoView:
    """Show one video."""
    return await _show(call)


async def _show(call: Call[None]) -> VideoView:
    key, wanted = call.session.key, call.request.path_params["id"]
    videos = call.tool.media.videos
    try:
        video = await videos.find(key, wanted)
    except errors.NotFound:
        if not call.session.is_instructor:
            raise
        try:
            return await _uploading(call, wanted)
        except errors.GuideError:
            # Between the two looks the upload may have become the video.
            video = await videos.find(key, wanted)
    rules = await rules_of(call.tool.media.parts, key)
    if not call.session.is_instructor and (not video.watchable or rules.withheld(video)):
        raise errors.NotFound(f"there is no video {wanted[:40]} in this course")
    return await _view(call, video, rules)


@calls.add("DELETE", "/api/video/{id}", access="instructor", status=204, failures=(404, 409))
async def delete_video(call: Call[None]) -> Response:
    """Remove a video with every copy; one that is under legal hold stays."""
    key, video = call.session.key, call.request.path_params["id"]
    found = await call.tool.media.videos.find(key, video)
    await Holds(call.tool.shards.directory, call.tool.clock).check_row(key, found.uploader)
    await call.tool.media.videos.delete(key, video)
    await call.tool.media.announce(key, "video", {"id": video, "status": "deleted", "progress": 0})
    return Response(status_code=204)


@calls.add("POST", "/api/video/{id}/retry", access="instructor", reply=VideoView, status=202, failures=(404, 409))
async def retry_video(call: Call[None]) -> VideoView:
    """Try a failed video again."""
    video = call.request.path_params["id"]
    await call.tool.media.videos.retry(call.session.key, video)
    return await _show(call)


@calls.add(
    "POST", "/api/video/{id}/reprocess", access="instructor", reply=VideoView, status=202, failures=(404, 409, 507)
)
async def reprocess_video(call: Call[None]) -> VideoView:
    """Process a lecture that is ready or has failed again; what plays goes on playing until the new one is complete."""
    video = call.request.path_params["id"]
    await reprocess(call.tool.media.parts, call.session.key, video)
    return await _show(call)


@calls.add(
    "PUT",
    "/api/video/{id}/captions/{lang}",
    access="instructor",
    body_kinds=("text/vtt",),
    reply=CaptionsView,
    failures=(400, 404, 413, 415),
)
async def put_captions(call: Call[None]) -> CaptionsView:
    """Store captions as WebVTT for a language."""
    params, key = call.request.path_params, call.session.key
    content = await read_body(call.request, call.tool.media.settings.captions_bytes, ("text/vtt",), CAPTION_BYTES)
    entry = await call.tool.media.videos.put_captions(key, params["id"], params["lang"], content)
    return _captions(call, await _tell(call), entry.lang)


@calls.add("DELETE", "/api/video/{id}/captions/{lang}", access="instructor", status=204, failures=(400, 404))
async def delete_captions(call: Call[None]) -> Response:
    """Remove the captions of a language."""
    params = call.request.path_params
    await call.tool.media.videos.delete_captions(call.session.key, params["id"], params["lang"])
    await _tell(call)
    return Response(status_code=204)


@calls.add("PUT", "/api/video/{id}/chapters", access="instructor", body=PutChapters, reply=PutChapters, failures=(404,))
async def put_chapters(call: Call[PutChapters]) -> PutChapters:
    """Replace the chapters of a video."""
    video = call.request.path_params["id"]
    chapters = await call.tool.media.videos.put_chapters(call.session.key, video, call.body.chapters)
    await _tell(call)
    return PutChapters(chapters)


@calls.add("GET", "/api/video/play/{signed}/{id}/{path:path}", access="none", failures=(403, 404, 416))
async def play(call: Call[None]) -> Response:
    """Serve a playlist, segment, poster or caption file of a signed address."""
    playable = await _opened(call)
    call.request.scope[TENANT] = playable.tenant
    # What cannot change may stay in this browser as long as its address works; nobody else may keep it.
    kept = f"private, max-age={call.tool.media.playback.life}, immutable" if playable.fixed else "private, no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    if playable.content is None:
        return await _served(call, playable, headers)
    etag = f'"{hashlib.sha256(playable.content).hexdigest()[:32]}"'
    headers |= {"ETag": etag}
    if same_tag(call.request, etag):
        return Response(status_code=304, headers=headers)
    return Response(playable.content, headers=headers, media_type=playable.kind)


async def _opened(call: Call[None]) -> Playable:
    """What an address names; as a replica knows it where the primary is away, which is seconds old at most."""
    params, shards = call.request.path_params, call.tool.shards
    asked = params["signed"], params["id"], params["path"]
    try:
        return await call.tool.media.playback.open(*asked)
    except errors.DataUnavailable:
        if not shards.replica_sets:
            raise
        # A player carries no bookmark, so that its reads go to the primary.
        async with shards.session(FIRST_UNCONSTRAINED, read_only=True):
            return await call.tool.media.playback.open(*asked)


async def _served(call: Call[None], playable: Playable, headers: dict[str, str]) -> Response:
    """A file from the main store, or from the nearest that has it; a browser is sent to a bucket, for a while.

    Raises `NotFound`, `Unavailable`.
    """
    store, spread = call.tool.media.store, call.tool.media.parts.spread
    head, away = await _here(store, playable.name)
    held = await _nearest(call, playable.name, spread, here=head is not None) if spread is not None else None
    if held is not None:
        url = held.url
        found = Object(held.remote, held.name, held.size, f'"{held.sha256}"', playable.kind)
    elif head is not None:
        url = await store.sign(playable.name) if playable.passed else None
        tag = await spread.serving.tag(playable.name) if spread is not None and spread.on else None
        found = Object(store, playable.name, head.size, tag or head.etag, playable.kind)
    else:
        raise away or errors.NotFound("the video has no such file")
    if url is not None and playable.passed:
        call.request.scope[ELSEWHERE] = asked_of(call.request, found.size)
        return Response(status_code=307, headers={"Location": url, "Cache-Control": "private, no-store"})
    return serve(call.request, found, headers)


async def _here(store: Store, name: str) -> tuple[Head | None, errors.Unavailable | None]:
    """What the main store has of a file; or that it is away."""
    try:
        return await store.head(name), None
    except errors.NotFound:
        return None, None
    except errors.Unavailable as error:
        return None, error


async def _nearest(call: Call[None], name: str, spread: Spread, *, here: bool) -> Held | None:
    """The store to have a file from where it is not `here`, or farther from whoever asks than another store."""
    if not spread.on:
        return None
    seen = sighted(call.tool.regions, call.request)
    # What stands in a region that is away is asked last: its bucket is perhaps away with it.
    regions = [one.name for one in seen.order if one.name not in call.tool.regions.away]
    if here and not (seen.country is not None and regions and spread.serving.near(regions[0])):
        return None
    try:
        return await spread.serving.nearest(name, *regions[:1], order=regions[1:])
    except errors.Unavailable:
        # It is here all the same, if farther away.
        if not here:
            raise
        return None


async def _tell(call: Call[Any]) -> Video:
    """Tell those who see a video that it changed, so that their pages fetch it again."""
    key = call.session.key
    video = await call.tool.media.videos.find(key, call.request.path_params["id"])
    await call.tool.media.announce(key, "video", announcement(video), user=None if video.watchable else video.uploader)
    return video


async def _view(call: Call[Any], video: Video, rules: Rules) -> VideoView:
    key, playback = call.session.key, call.tool.media.playback
    teaches = call.session.is_instructor
    steps = [StepView(step.name, step.state) for step in video.steps]
    return VideoView(
        id=video.id,
        title=video.title,
        status=video.status,
        progress=round(video.progress, 3),
        position=await call.tool.media.videos.position(key, video) if teaches else None,
        reason=video.reason,
        withheld=rules.withheld(video),
        remaking=video.remaking is not None,
        duration=video.duration,
        renditions=[RenditionView(one.name, one.height, one.width, one.bandwidth) for one in video.renditions],
        playback=playback.address(key, video, teaches=teaches) if video.watchable else None,
        poster=playback.address(key, video, "poster.jpg", teaches=teaches) if video.poster else None,
        preview=_preview(call, video),
        captions=[_captions(call, video, one.lang) for one in video.captions],
        chapters=video.chapters,
        size=video.size,
        filename=video.filename,
        created_at=iso(video.created_at),
        steps=[*steps, StepView("captions", "done" if video.captions else "waiting")],
    )


def _captions(call: Call[Any], video: Video, language: str) -> CaptionsView:
    one = next(found for found in video.captions if found.lang == language)
    address = _address(call, video, f"captions/{language}.vtt")
    # The version changes the address, so that a page which shows the old file asks for the new one.
    return CaptionsView(one.lang, one.label, f"{address}?v={one.version}")


def _preview(call: Call[Any], video: Video) -> PreviewView | None:
    one = video.preview
    if one is None:
        return None
    names = [f"{one.folder}/{sheet(number)}" for number in range(one.sheets)]
    sheets = [_address(call, video, name) for name in names]
    return PreviewView(one.interval, one.count, one.columns, one.rows, one.width, one.height, sheets)


def _address(call: Call[Any], video: Video, path: str) -> str:
    session = call.session
    return call.tool.media.playback.address(session.key, video, path, teaches=session.is_instructor)


async def _uploading(call: Call[None], wanted: str) -> VideoView:
    """A video whose bytes are still arriving, for those who may upload."""
    upload = await call.tool.media.uploads.find(call.session.key, wanted)
    return VideoView(
        id=upload.id,
        title=upload.title,
        status="queued",
        progress=0.0,
        position=None,
        reason=None,
        withheld=None,
        remaking=False,
        duration=None,
        renditions=[],
        playback=None,
        poster=None,
        preview=None,
        captions=[],
        chapters=[],
        size=upload.length,
        filename=upload.filename,
        created_at=iso(upload.created_at),
        steps=[StepView("received", "running")],
    )
