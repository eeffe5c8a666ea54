"""The limits of lectures: what may be uploaded and kept, and what one may take to process."""

from __future__ import annotations

from atomic_guide.limit import Limit

UPLOAD_BYTES = Limit(
    "video",
    "upload_bytes",
    "bytes",
    "video.max_bytes",
    refuses="The upload.",
    answer="413 TOO_LARGE",
    use="The largest upload lately.",
    about="size",
)
COURSE_BYTES = Limit(
    "video",
    "course_bytes",
    "bytes",
    "video.course_bytes",
    refuses="The upload.",
    answer="507 OUT_OF_SPACE",
    use="Lectures of one course, of the course that has most.",
)
TENANT_BYTES = Limit(
    "video",
    "tenant_bytes",
    "bytes",
    "video.tenant_quota_bytes",
    refuses="The upload, a further quality of a lecture (which fails, or keeps those it has), processing it again.",
    answer="507 OUT_OF_SPACE",
    use="Lectures of one institution by what it may keep, of the one that is fullest.",
)
UNFINISHED_UPLOADS = Limit(
    "video",
    "unfinished_uploads",
    "uploads",
    "video.unfinished_uploads",
    refuses="The beginning of a resumable upload.",
    answer="409 CONFLICT",
    use="Unfinished uploads of one course, of the course that has most.",
)
UPLOAD_PIECES = Limit(
    "video",
    "upload_pieces",
    "pieces",
    "",
    refuses="The next piece of an upload into a bucket; begin it again, with larger ones.",
    answer="400 VALIDATION_ERROR",
    use="The most pieces of an upload lately.",
    about="size",
    # An upload's row names each with some 30 characters, and is written anew for each.
    fixed=2000,
)
CAPTION_BYTES = Limit(
    "video",
    "caption_bytes",
    "bytes",
    "video.captions_bytes",
    refuses="The captions.",
    answer="413 TOO_LARGE",
    use="The largest caption file lately.",
    about="size",
)
CHAPTERS = Limit(
    "video",
    "chapters",
    "chapters",
    "video.chapters",
    refuses="The chapters.",
    answer="400 VALIDATION_ERROR",
    use="The most chapters of a lecture lately.",
    about="size",
)
DURATION = Limit(
    "video",
    "duration",
    "s",
    "video.max_duration",
    refuses="The lecture: it ends `failed`, with the reason.",
    answer="job fails",
    use="The longest lecture lately.",
    about="size",
)
PIXELS = Limit(
    "video",
    "pixels",
    "pixels",
    "video.max_pixels",
    refuses="The lecture: it ends `failed`, with the reason.",
    answer="job fails",
    use="The largest picture lately.",
    about="size",
)
STREAMS = Limit(
    "video",
    "streams",
    "streams",
    "video.max_streams",
    refuses="The lecture: it ends `failed`, with the reason.",
    answer="job fails",
    use="The most streams of a file lately.",
    about="size",
)
JOB_MEMORY = Limit(
    "video",
    "job_memory",
    "MiB",
    "queues.video.memory_mb",
    refuses="Memory to the program, which ends; the lecture ends `failed`, or is tried again.",
    answer="job fails",
    use="Address space of a running program at its largest.",
    about="own",
)
JOB_STALL = Limit(
    "video",
    "job_stall",
    "s",
    "video.stall_seconds",
    refuses="The program, which is ended; the job is tried again.",
    answer="job fails",
    use="How long the running program that moves least has not moved.",
    about="own",
)
LIMITS = (
    UPLOAD_BYTES,
    COURSE_BYTES,
    TENANT_BYTES,
    UNFINISHED_UPLOADS,
    UPLOAD_PIECES,
    CAPTION_BYTES,
    CHAPTERS,
    DURATION,
    PIXELS,
    STREAMS,
    JOB_MEMORY,
    JOB_STALL,
)
