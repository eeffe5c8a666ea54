"""The limit of how far ahead capacity is planned."""

from __future__ import annotations

from atomic_guide.limit import Limit

HORIZON = Limit(
    "capacity",
    "horizon",
    "months",
    "capacity.most_months",
    refuses="The plan.",
    answer="400 VALIDATION_ERROR",
    use="The furthest horizon that was asked for lately.",
    about="size",
)
LIMITS = (HORIZON,)
