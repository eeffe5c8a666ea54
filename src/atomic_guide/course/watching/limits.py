"""The limits of events of lectures."""

from __future__ import annotations

from atomic_guide.limit import Limit

BACKLOG = Limit(
    "watching",
    "events_backlog",
    "events",
    "events.backlog",
    refuses="The events; they are sent again later.",
    answer="429 RATE_LIMITED",
    use="Events of one course that wait to be counted, of the course that most wait for.",
)
EVENT_BYTES = Limit(
    "watching",
    "events_body",
    "bytes",
    "events.body_bytes",
    refuses="The events of one call.",
    answer="413 TOO_LARGE",
    use="The largest call lately.",
    about="size",
)
LIMITS = (BACKLOG, EVENT_BYTES)
