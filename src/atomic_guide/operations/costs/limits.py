"""The limit of what is remembered of changes that were made to save."""

from __future__ import annotations

from atomic_guide.limit import Limit

AUDIT = Limit(
    "costs",
    "cost_audit",
    "entries",
    "costs.most_audit",
    refuses="Nothing: the oldest entry of the audit of costs is forgotten.",
    answer="forgets",
    use="Entries of the audit of costs.",
    about="kept",
)
LIMITS = (AUDIT,)
