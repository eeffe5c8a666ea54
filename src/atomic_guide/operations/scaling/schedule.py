"""The schedule: times at which operators want so many units at least, and kinds of days from calendars.

A calendar is imported under its file's name, and importing it again replaces what it brought before, so that a term
that was moved has moved here too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence

import msgspec

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.operations.scaling.calendar import KINDS, Kind, Span
from atomic_guide.operations.scaling.ics import Occurrence

_QUERIES = load_queries(__package__, "foresight.sql")

UNITS = "units"
ENTRIES_MOST = 10_000
ENTRY_DAYS_MOST = 400.0

_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("holiday", re.compile(r"holiday|feiertag|bank day|day off|closed", re.IGNORECASE)),
    ("exams", re.compile(r"exam|pr(ü|ue)fung|finals|assessment", re.IGNORECASE)),
    ("break", re.compile(r"break|vacation|recess|ferien|vorlesungsfrei|reading week", re.IGNORECASE)),
    ("term", re.compile(r"term|semester|trimester|lectures|vorlesungszeit|teaching", re.IGNORECASE)),
)
"""What an event's summary or categories say about its kind, in English and German; the first that fits."""


class ScheduleEntry(msgspec.Struct, frozen=True):
    """A row of the schedule. `fleet` is empty for all; `units` is of that kind only; `calendar` is where it is from."""

    id: str
    fleet: str
    kind: str
    begins_at: float
    ends_at: float
    units: int | None = None
    note: str = ""
    calendar: str = ""


class Schedule:
    """The schedule in the directory."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory

    async def entries(self, since: float) -> list[ScheduleEntry]:
        """What has not ended at a time, the next one first."""
        rows = await self._directory.read(_QUERIES["list_entries"], {"since": since, "limit": ENTRIES_MOST})
        return [ScheduleEntry(**row) for row in rows]

    async def add(self, entry: ScheduleEntry) -> ScheduleEntry:
        """Add an entry; one without an id is given one. Raises `Invalid` for what cannot be."""
        _check(entry)
        if not entry.id:
            entry = msgspec.structs.replace(entry, id=secrets.token_hex(4))

        async def work(tx: Transaction) -> None:
            await tx.execute(_QUERIES["add_entry"], msgspec.structs.asdict(entry))

        await self._directory.write(work)
        return entry

    async def remove(self, name: str) -> int:
        """Remove an entry by its id, or all of a calendar by its name; how many. Raises `NotFound`."""

        async def work(tx: Transaction) -> int:
            gone = await tx.execute(_QUERIES["remove_entry"], {"id": name})
            return gone + await tx.execute(_QUERIES["remove_calendar"], {"calendar": name})

        gone = await self._directory.write(work)
        if not gone:
            raise NotFound(
                f"the schedule has no entry and no calendar {name}; `atomic-guide scale schedule list` shows all"
            )
        return gone

    async def take(self, calendar: str, entries: Sequence[ScheduleEntry]) -> None:
        """Have these entries of a calendar, and none of those that it had before."""

        async def work(tx: Transaction) -> None:
            await tx.execute(_QUERIES["remove_calendar"], {"calendar": calendar})
            for entry in entries:
                await tx.execute(_QUERIES["add_entry"], msgspec.structs.asdict(entry))

        await self._directory.write(work)


def entries_of(found: Iterable[Occurrence], calendar: str, kind: Kind | None) -> tuple[list[ScheduleEntry], int]:
    """The entries of a calendar, and of how many events the kind cannot be told. `kind` is that of all, where given."""
    entries, unknown = [], 0
    for one in found:
        mine = kind or next((name for name, words in _WORDS if words.search(one.words)), None)
        if mine is None:
            unknown += 1
            continue
        digest = hashlib.sha256(f"{calendar}\n{one.uid}\n{one.begins}".encode()).hexdigest()[:16]
        entries.append(ScheduleEntry(digest, "", mine, one.begins, one.ends, None, one.words[:200], calendar))
    return entries, unknown


def spans_of(entries: Iterable[ScheduleEntry]) -> list[Span]:
    """The kinds of days among entries."""
    kinds: dict[str, Kind] = {kind: kind for kind in KINDS}
    return [Span(kinds[entry.kind], entry.begins_at, entry.ends_at) for entry in entries if entry.kind in kinds]


def _check(entry: ScheduleEntry) -> None:
    if entry.ends_at <= entry.begins_at:
        raise Invalid("an entry of the schedule ends after it begins")
    if entry.ends_at - entry.begins_at > ENTRY_DAYS_MOST * 86400:
        raise Invalid(f"an entry of the schedule lasts at most {ENTRY_DAYS_MOST:g} days")
    if entry.kind == UNITS and (entry.units is None or entry.units < 1):
        raise Invalid("an entry that asks for units says how many, 1 or more")
    if entry.kind not in {UNITS, *KINDS}:
        raise Invalid(f"there is no kind {entry.kind}; there are {UNITS}, {', '.join(KINDS)}")
