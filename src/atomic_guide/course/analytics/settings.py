"""How scores are taken in and when figures are shown."""

from __future__ import annotations

from typing import Annotated

import msgspec


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a student is marked as at risk: a prompt to look, not a judgement, so each can be moved."""

    absent_weeks: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=52, description="Weeks without a hand-in, while others had one to make.", extra={"unit": "weeks"}
        ),
    ] = 3
    low_share: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=1, description="Below this share of the maximum, a score is low.", extra={"unit": "share"}
        ),
    ] = 0.5
    low_count: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=20, description="Low scores among the last ones that raise it.", extra={"unit": "scores"}
        ),
    ] = 4
    low_window: Annotated[
        int, msgspec.Meta(ge=1, le=20, description="How many last scores are looked at.", extra={"unit": "scores"})
    ] = 5
    fall_share: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=1, description="Fall of the share that raises it; 0.15 is 15 points.", extra={"unit": "share"}
        ),
    ] = 0.15
    fall_exercises: Annotated[
        int,
        msgspec.Meta(ge=1, le=20, description="Exercises over which the fall is taken.", extra={"unit": "exercises"}),
    ] = 4


class AnalyticsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores and figures."""

    privacy_threshold: Annotated[
        int,
        msgspec.Meta(
            ge=5,
            le=1000,
            description="Others who must have a score before a student sees figures about them;"
            " below five a curve tells too much about each.",
            extra={"unit": "students"},
        ),
    ] = 5
    json_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024,
            le=64 * 2**20,
            description="Largest JSON body of scores, which is held in memory; CSV and NDJSON are not.",
            extra={"unit": "B"},
        ),
    ] = 8 * 2**20
    stream_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024,
            le=2**40,
            description="Largest CSV or NDJSON body of scores; about four million rows.",
            extra={"unit": "B"},
        ),
    ] = 256 * 2**20
    stall_seconds: Annotated[
        float,
        msgspec.Meta(ge=1, le=600, description="When a body of scores that stalls is given up.", extra={"unit": "s"}),
    ] = 60.0
    cache_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=300,
            description="How long figures are kept in memory; new scores show at once, new names and roles after this.",
            extra={"unit": "s"},
        ),
    ] = 5.0
    memory_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=2**20,
            le=2**36,
            description="Scores that a process keeps to bring figures up to date without reading the course again:"
            " 24 B a score, or 30 B a student of a course too large for a page; unused courses go first.",
            extra={"unit": "B"},
        ),
    ] = 64 * 2**20
    rules: RuleSettings = RuleSettings()
