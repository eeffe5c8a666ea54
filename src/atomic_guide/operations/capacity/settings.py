"""Settings of capacity planning: how full is full, how long things take, how far evidence reaches."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class LeadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days from the decision to add something until it bears load; yours go by your procurement."""

    add_process: Annotated[
        float, setting("Web processes beyond scaling.web.max: cores must be there.", "days", ge=0, le=1000)
    ] = 7.0
    add_consumer: Annotated[float, setting("Workers beyond scaling.workers.max: as above.", "days", ge=0, le=1000)] = (
        7.0
    )
    add_read_replica: Annotated[
        float, setting("A standby of a shard: a server, then a copy of all it has.", "days", ge=0, le=1000)
    ] = 14.0
    add_shard: Annotated[
        float, setting("A database server, and moving buckets to it while they are used.", "days", ge=0, le=1000)
    ] = 30.0
    add_storage: Annotated[
        float, setting("Disks or a larger volume: an order, and a window to put it in.", "days", ge=0, le=1000)
    ] = 45.0
    add_memory: Annotated[
        float, setting("Memory or a larger machine: an order, and a restart.", "days", ge=0, le=1000)
    ] = 30.0


class CapacitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What plans are made by."""

    peak_share: Annotated[
        float,
        setting(
            "The share of weeks whose highest quarter of an hour is to find room: 0.95 leaves one week in twenty.",
            "share",
            ge=0.5,
            le=0.999,
        ),
    ] = 0.95
    growth_spread: Annotated[
        float,
        setting(
            "How far off a growth that is told as one figure may be, nine of ten times, as a share of itself; a range"
            " such as 1.5x..3x/year says it instead.",
            "share",
            ge=0,
            le=1,
        ),
    ] = 0.25
    evidence_factor: Annotated[
        float,
        setting(
            "Nothing is said of loads over so many times the highest that was measured or load-tested, where another"
            " part may be the limit: 2.5 is a doubling and what peaks scatter by.",
            "times",
            ge=1,
            le=10,
        ),
    ] = 2.5
    horizon_factor: Annotated[
        float,
        setting(
            "Nothing is said of times over so many times as far ahead as was measured back: 13 makes a year of four"
            " weeks. A measured trend is carried on only as far as it was measured.",
            "times",
            ge=1,
            le=100,
        ),
    ] = 13.0
    database_share: Annotated[
        float,
        setting(
            "How busy a shard's writer or readers may be in the mean of a quarter of an hour: at 0.7 a call waits twice"
            " as long as it takes (M/M/1).",
            "share",
            gt=0,
            le=1,
        ),
    ] = 0.7
    wait_seconds: Annotated[float, setting("How long a job may wait for a slot of a worker.", "s", ge=0, le=86400)] = (
        60.0
    )
    wait_share: Annotated[
        float, setting("The share of jobs that wait no longer than that.", "share", ge=0.5, le=0.9999)
    ] = 0.95
    most_months: Annotated[
        int,
        setting("Horizon of a plan at most: three years ahead nobody knows what runs there.", "months", ge=1, le=120),
    ] = 36
    lead_days: LeadSettings = LeadSettings()
