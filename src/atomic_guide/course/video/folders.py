"""Where a lecture's files are in the store. Pure."""

from __future__ import annotations

import re

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import NotFound

_ID = re.compile(r"v[0-9a-f]{16}")


def prefix_of(key: CourseKey, video: str) -> str:
    """The folder of a video's objects; every part of it is chosen by us. Raises `NotFound` for no id of ours."""
    if not _ID.fullmatch(video):
        raise NotFound(f"there is no video {video[:40]} in this course")
    return f"{key.tenant}/{key.course}/video/{video}"


def media_prefix(key: CourseKey, video: str, origin: str) -> str:
    """The folder of what a video shows: its own, or that of the video it was copied from (`origin`)."""
    course, _, owner = origin.partition("/")
    return prefix_of(CourseKey(key.tenant, course, 0), owner) if origin else prefix_of(key, video)
