"""How scores are taken in and when figures are shown."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a student is marked as at risk: a prompt to look, not a judgement, so each can be moved."""

    absent_weeks: Annotated[
        int,
        setting("Weeks without a hand-in, while others had one to make.", "weeks", ge=1, le=52),
    ] = 3
    low_share: Annotated[
        float,
        setting("Below this share of the maximum, a score is low.", "share", gt=0, le=1),
    ] = 0.5
    low_count: Annotated[
        int,
        setting("Low scores among the last ones that raise it.", "scores", ge=1, le=20),
    ] = 4
    low_window: Annotated[int, setting("How many last scores are looked at.", "scores", ge=1, le=20)] = 5
    fall_share: Annotated[
        float,
        setting("Fall of the share that raises it; 0.15 is 15 points.", "share", gt=0, le=1),
    ] = 0.15
    fall_exercises: Annotated[
        int,
        setting("Exercises over which the fall is taken.", "exercises", ge=1, le=20),
    ] = 4


class AnalyticsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores and figures."""

    privacy_threshold: Annotated[
        int,
        setting(
            "Others who must have a score before a student sees figures about them;"
            " below five a curve tells too much about each.",
            "students",
            ge=5,
            le=1000,
        ),
    ] = 5
    json_bytes: Annotated[
        int,
        setting(
            "Largest JSON body of scores, which is held in memory; CSV and NDJSON are not.", "B", ge=1024, le=64 * 2**20
        ),
    ] = 8 * 2**20
    stream_bytes: Annotated[
        int,
        setting("Largest CSV or NDJSON body of scores; about four million rows.", "B", ge=1024, le=2**40),
    ] = 256 * 2**20
    stall_seconds: Annotated[
        float,
        setting("When a body of scores that stalls is given up.", "s", ge=1, le=600),
    ] = 60.0
    cache_seconds: Annotated[
        float,
        setting(
            "How long figures are kept; new scores, names and roles show at once, and what only time changes after"
            " this: for how many weeks nothing was handed in.",
            "s",
            ge=0,
            le=3600,
        ),
    ] = 300.0
    memory_bytes: Annotated[
        int,
        setting(
            "Scores that a process keeps to bring figures up to date without reading the course again:"
            " 24 B a score, or 30 B a student of a course too large for a page; unused courses go first.",
            "B",
            ge=2**20,
            le=2**36,
        ),
    ] = 64 * 2**20
    rules: RuleSettings = RuleSettings()
