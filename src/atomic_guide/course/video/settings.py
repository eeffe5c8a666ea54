"""What a lecture may be, and what it may cost."""

from __future__ import annotations

from typing import Annotated

import msgspec


class VideoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and choices for uploads and media work."""

    max_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024, description="Largest upload: two hours of a lecture at 2.3 Mbit/s.", extra={"unit": "bytes"}
        ),
    ] = 2 * 1024**3
    course_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024, description="Space of one course, sources and renditions together.", extra={"unit": "bytes"}
        ),
    ] = 50 * 10**9
    unfinished_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=60,
            le=30 * 86400,
            description="When a resumable upload that stands still is dropped.",
            extra={"unit": "s"},
        ),
    ] = 86400
    unfinished_uploads: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=10_000, description="Resumable uploads that one course may have open.", extra={"unit": "uploads"}
        ),
    ] = 100
    heights: Annotated[
        tuple[int, ...],
        msgspec.Meta(
            min_length=1,
            max_length=6,
            description="Qualities by their shorter side, lowest first; never above the source."
            " The lowest should keep slides legible: it is what everybody gets first.",
            extra={"unit": "lines"},
        ),
    ] = (480, 720, 1080)
    segment_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=2,
            le=10,
            description="Length of a segment; Apple's HLS authoring specification asks for 6.",
            extra={"unit": "s"},
        ),
    ] = 6.0
    loudness: Annotated[
        float,
        msgspec.Meta(
            ge=-31,
            le=-10,
            description="Loudness of every lecture (EBU R 128): -16 is what AES TD1008 asks of speech that is heard"
            " on phones and laptops.",
            extra={"unit": "LUFS"},
        ),
    ] = -16.0
    keep_source: Annotated[
        bool,
        msgspec.Meta(
            description="Keep the uploaded file for later renditions; else it goes once what was made of it has been"
            " read back.",
            extra={"unit": "yes/no"},
        ),
    ] = True
    threads: Annotated[
        int,
        msgspec.Meta(ge=1, le=64, description="Threads of one encoder.", extra={"unit": "threads"}),
    ] = 2
    max_duration: Annotated[
        float,
        msgspec.Meta(ge=1, le=7 * 86400, description="Longest lecture.", extra={"unit": "s"}),
    ] = 6 * 3600.0
    max_pixels: Annotated[
        int,
        msgspec.Meta(
            ge=1024,
            description="Most pixels of a frame: 8K. A bomb of 30,000 x 30,000 ends here.",
            extra={"unit": "pixels"},
        ),
    ] = 7680 * 4320
    max_streams: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=1000, description="Most streams in a file; recorders make two to five.", extra={"unit": "streams"}
        ),
    ] = 32
    cpu_seconds_per_second: Annotated[
        float,
        msgspec.Meta(
            ge=0.1,
            le=1000,
            description="CPU time for each second of media and rendition, beside five minutes for the start;"
            " 1080p H.264 took 0.8.",
            extra={"unit": "s"},
        ),
    ] = 20.0
    stall_seconds: Annotated[
        float,
        msgspec.Meta(ge=1, le=3600, description="When an ffmpeg that makes no progress is ended.", extra={"unit": "s"}),
    ] = 120.0
    captions_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024,
            le=64 * 1024**2,
            description="Largest caption file; three hours of speech are 0.3 MB.",
            extra={"unit": "bytes"},
        ),
    ] = 4_000_000
    ffmpeg: Annotated[
        str | None,
        msgspec.Meta(description="Another ffmpeg than the bundled one.", extra={"unit": "path"}),
    ] = None
