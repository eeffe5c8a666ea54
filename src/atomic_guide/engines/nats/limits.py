"""The limits of a connection to NATS."""

from __future__ import annotations

from atomic_guide.limit import Limit

OUTBOX = Limit(
    "nats",
    "nats_outbox",
    "messages",
    "nats.outbox_limit",
    refuses="The announcement; the other processes read the database.",
    answer="drops",
    use="Announcements that wait to be sent.",
)
INBOX = Limit(
    "nats",
    "nats_inbox",
    "bytes",
    "nats.inbox_bytes",
    refuses="What others announce; this process reads the database.",
    answer="drops",
    use="Received bytes that wait to be read, of the subject that has most.",
)
LIMITS = (OUTBOX, INBOX)
