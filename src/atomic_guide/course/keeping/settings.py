"""How long things are kept, and where backups go, when they are made, how many are kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.engines.data.wal.settings import WalSettings
from atomic_guide.setting import setting


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Backups of the data directory."""

    directory: Annotated[
        str | None,
        setting(
            "Where backups are kept; none: `backups` in the data directory. Better another disk: a broken"
            " disk takes its own backups along.",
            "path",
        ),
    ] = None
    every_minutes: Annotated[
        Annotated[int, msgspec.Meta(ge=5, le=7 * 1440)] | None,
        setting("How often a server makes a backup by itself, and so the most that a restore loses.", "min"),
    ] = None
    keep: Annotated[
        int,
        setting("Newest backups that are kept in any case.", "backups", ge=1, le=10_000),
    ] = 24
    keep_days: Annotated[
        int,
        setting(
            "Days of which the last backup of each is kept as well. Erased people are in older backups"
            " until those are gone; a restore erases them again.",
            "d",
            ge=0,
            le=3650,
        ),
    ] = 30
    log: WalSettings = WalSettings()


class KeepingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long things are kept. What is under legal hold is kept in any case."""

    messages_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When a message becomes a tombstone; none: never.", "d"),
    ] = None
    scores_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When a score goes, counted from its hand-in; none: never.", "d"),
    ] = None
    videos_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When a lecture goes with all its files, counted from its upload; none: never.", "d"),
    ] = None
    dead_letters_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When a job that failed for good is forgotten; half a year is long enough to look into it.", "d"),
    ] = 180
    dropped_letters_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("How long a dead letter that an operator dropped can be read in the log of that; none: always.", "d"),
    ] = 30
    actions_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When an entry of the log goes that says who replayed or dropped a dead letter; none: never.", "d"),
    ] = None
    notifications_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting("When an entry of a person's feed goes: a term is over then; none: never.", "d"),
    ] = 180
    reads_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting(
            "When an entry of the log of staff reads goes; none: never. FERPA (34 CFR 99.32) wants it kept"
            " as long as the records themselves.",
            "d",
        ),
    ] = None
    moderation_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting(
            "When an entry of the log of moderation goes: who deleted a message, muted somebody, and when;"
            " none: never.",
            "d",
        ),
    ] = None
    watching_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        setting(
            "When it is forgotten how far a person is in a lecture, and when a person was last in a course, counted"
            " from the last sign; sums over all stay. None: never.",
            "d",
        ),
    ] = None
