"""Signed addresses of a video's files, and what may be had through them.

The signature stands in the path, so relative names in playlists carry it along: whoever may see the master
playlist may see its segments, until it expires.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.video.folders import media_prefix, prefix_of
from atomic_guide.course.video.rules import CAPTIONS_MISSING, rules_of
from atomic_guide.course.video.videos import Video
from atomic_guide.engines.assets.kinds import kind_of
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from atomic_guide.course.video.videos import Parts, Videos
    from atomic_guide.engines.assets.sign import Signer

MASTER = "master.m3u8"
_TEACHES = "teaches"
_PASSED = frozenset(kind_of(f"x.{ending}") for ending in ("m4s", "mp4", "jpg"))
_FILE = re.compile(
    r"poster\.jpg"
    r"|preview(-[a-z0-9]{1,16})?/[0-9]{5}\.jpg"
    r"|(?P<rendition>[a-z0-9-]{1,32})/(index\.m3u8|init\.mp4|[0-9]{5,6}\.m4s)"
    r"|captions/(?P<captions>[A-Za-z0-9-]{2,40})\.vtt"
)


class Playable(NamedTuple):
    """A file to serve: its object, or its content where it is made for the request; its kind; whether it can change.

    `tenant` is whose it is.
    """

    name: str
    content: bytes | None
    kind: str
    fixed: bool
    tenant: str

    @property
    def passed(self) -> bool:
        """Whether a browser may be sent elsewhere for it.

        Not for a playlist: what it names is looked for beside the address that it came from, and that of a bucket is
        signed for one object only. Nor for captions, which a page may read from its own origin alone.
        """
        return self.kind in _PASSED


class Playback:
    """Makes and opens the addresses."""

    def __init__(self, videos: Videos, signer: Signer, parts: Parts) -> None:
        self._videos = videos
        self._parts = parts
        self._signer = signer

    def address(self, key: CourseKey, video: Video, path: str = MASTER, *, teaches: bool = False) -> str:
        """The path of a file of a video, as signed for this course.

        Those of somebody who `teaches` play what is held back from learners, too.
        """
        segment = self._signer.sign([key.tenant, key.course, key.bucket, video.id, *([_TEACHES] if teaches else [])])
        return f"/api/video/play/{segment}/{video.id}/{path}"

    @property
    def life(self) -> int:
        """Seconds that an address lives at least."""
        return self._signer.life

    async def open(self, segment: str, video_id: str, path: str) -> Playable:
        """What an address names.

        Raises `Forbidden` for a wrong or expired one, and for a lecture that is held back by now; `NotFound` for a
        removed one.
        """
        tenant, course, bucket, signed, *who = self._signer.check(segment)
        if signed != video_id:
            raise Forbidden("this address is not one of ours")
        key = CourseKey(tenant, course, bucket)
        video = await self._videos.find(key, video_id)
        # Most lectures have captions: only for the others the course's rules are read.
        if not video.captions and _TEACHES not in who and (await rules_of(self._parts, key)).withheld(video):
            raise Forbidden("this lecture is shown once it has captions", details={"withheld": CAPTIONS_MISSING})
        if path == MASTER:
            if not video.watchable:
                raise NotFound("the video cannot be played yet")
            return Playable(path, master_playlist(video).encode(), kind_of(path), fixed=False, tenant=tenant)
        match = _FILE.fullmatch(path)
        if not match:
            raise NotFound("the video has no such file")
        kind = kind_of(path)
        # Captions are a lecture's own; what it shows may be shared with the lecture that it was copied from.
        own = match["captions"] is not None
        prefix = prefix_of(key, video_id) if own else media_prefix(key, video_id, video.origin)
        return Playable(f"{prefix}/{path}", None, kind, fixed=not own, tenant=tenant)


def master_playlist(video: Video) -> str:
    """The master playlist over the renditions that are complete, the lowest first (RFC 8216, section 4.3.4.2)."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for one in sorted(video.renditions, key=lambda one: one.bandwidth):
        size = f",RESOLUTION={one.width}x{one.height}" if one.height else ""
        lines.append(
            f'#EXT-X-STREAM-INF:BANDWIDTH={one.bandwidth},AVERAGE-BANDWIDTH={one.average}{size},CODECS="{one.codecs}"'
        )
        lines.append(f"{one.place}/index.m3u8")
    return "\n".join(lines) + "\n"
