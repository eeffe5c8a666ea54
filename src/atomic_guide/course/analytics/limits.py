"""The limits of scores."""

from __future__ import annotations

from atomic_guide.limit import Limit

JSON_BYTES = Limit(
    "analytics",
    "scores_json",
    "bytes",
    "analytics.json_bytes",
    refuses="The scores.",
    answer="413 TOO_LARGE",
    use="The largest JSON body of scores lately.",
    about="size",
)
STREAM_BYTES = Limit(
    "analytics",
    "scores_stream",
    "bytes",
    "analytics.stream_bytes",
    refuses="The rest of the body; rows before it are stored.",
    answer="413 TOO_LARGE",
    use="The largest CSV or NDJSON body lately.",
    about="size",
)
MEMORY_BYTES = Limit(
    "analytics",
    "scores_memory",
    "bytes",
    "analytics.memory_bytes",
    refuses="Nothing: the course that was used least recently is forgotten, and read again.",
    answer="forgets",
    use="Scores that a process keeps, of the larger of two forms.",
    about="kept",
)
LIMITS = (JSON_BYTES, STREAM_BYTES, MEMORY_BYTES)
