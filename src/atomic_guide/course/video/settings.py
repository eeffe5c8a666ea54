"""What a lecture may be, and what it may cost."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atomic_guide.setting import setting

Copies = Literal["history", "taught", "off"]


class VideoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and choices for uploads and media work."""

    max_bytes: Annotated[int, setting("Largest upload: two hours of a lecture at 2.3 Mbit/s.", "bytes", ge=1024)] = (
        2 * 1024**3
    )
    course_bytes: Annotated[int, setting("Space of one course, sources and renditions together.", "bytes", ge=1024)] = (
        50 * 10**9
    )
    tenant_quota_bytes: Annotated[
        int,
        setting(
            "Space of all lectures of one tenant, renditions included, unless `assets quota set` gives it a limit of"
            " its own: some thousand hours at 2 GB each.",
            "bytes",
            ge=1024,
        ),
    ] = 2 * 10**12
    failed_days: Annotated[
        int,
        setting(
            "When the file of a lecture that failed is let go; until then it can be tried again.", "days", ge=1, le=3650
        ),
    ] = 30
    unfinished_seconds: Annotated[
        int, setting("When a resumable upload that stands still is dropped.", "s", ge=60, le=30 * 86400)
    ] = 86400
    unfinished_uploads: Annotated[
        int, setting("Resumable uploads that one course may have open.", "uploads", ge=1, le=10000)
    ] = 100
    heights: Annotated[
        tuple[int, ...],
        setting(
            "Qualities by their shorter side, lowest first; never above the source."
            " The lowest should keep slides legible: it is what everybody gets first.",
            "lines",
            min_length=1,
            max_length=6,
        ),
    ] = (480, 720, 1080)
    segment_seconds: Annotated[
        float, setting("Length of a segment; Apple's HLS authoring specification asks for 6.", "s", ge=2, le=10)
    ] = 6.0
    loudness: Annotated[
        float,
        setting(
            "Loudness of every lecture (EBU R 128): -16 is what AES TD1008 asks of speech that is heard on phones"
            " and laptops.",
            "LUFS",
            ge=-31,
            le=-10,
        ),
    ] = -16.0
    copies: Annotated[
        Copies,
        setting(
            "Whether a course that the LMS made by copying another gets its lectures. `history`: where an instructor"
            " launches it and the LMS names the other course. `taught`: only where that person has taught it, for"
            " LMSs in which instructors may write the parameters of a link. `off`: never.",
            "history/taught/off",
        ),
    ] = "history"
    keep_source: Annotated[
        bool,
        setting(
            "Keep the uploaded file for later renditions; else it goes once what was made of it has been read back.",
            "yes/no",
        ),
    ] = True
    threads: Annotated[int, setting("Threads of one encoder.", "threads", ge=1, le=64)] = 2
    max_duration: Annotated[float, setting("Longest lecture.", "s", ge=1, le=7 * 86400)] = 6 * 3600.0
    max_pixels: Annotated[
        int, setting("Most pixels of a frame: 8K. A bomb of 30,000 x 30,000 ends here.", "pixels", ge=1024)
    ] = 7680 * 4320
    max_streams: Annotated[
        int, setting("Most streams in a file; recorders make two to five.", "streams", ge=1, le=1000)
    ] = 32
    cpu_seconds_per_second: Annotated[
        float,
        setting(
            "CPU time for each second of media and rendition, beside five minutes for the start; 1080p H.264 took 0.8.",
            "s",
            ge=0.1,
            le=1000,
        ),
    ] = 20.0
    stall_seconds: Annotated[float, setting("When an ffmpeg that makes no progress is ended.", "s", ge=1, le=3600)] = (
        120.0
    )
    chapters: Annotated[
        int,
        setting("Chapters of one lecture; two a minute of one and a half hours.", "chapters", ge=1, le=1000),
    ] = 200
    captions_bytes: Annotated[
        int, setting("Largest caption file; three hours of speech are 0.3 MB.", "bytes", ge=1024, le=64 * 1024**2)
    ] = 4_000_000
    ffmpeg: Annotated[str | None, setting("Another ffmpeg than the bundled one.", "path")] = None
