"""`atomic-guide scale schedule list|add|remove|import`: times that operators and calendars know of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from atomic_guide import errors
from atomic_guide.cli.options import Context, Leading, data_options
from atomic_guide.clock import SystemClock

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.schedule import ScheduleEntry

_KINDS = ("units", "term", "exams", "break", "holiday")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAY = 86400.0
_PAST_DAYS, _AHEAD_DAYS = 400, 730
"""What the forecast can learn from, and two years ahead."""


@click.group(name="schedule", cls=Leading, leads="list")
def schedule() -> None:
    """Tell scaling of times that demand alone does not: units to have ready, terms, exam weeks, breaks, holidays.

    The forecast learns from earlier ones what a kind of days does to demand; a holiday is a Sunday until one was seen.
    """


@schedule.command(name="list")
@data_options
@click.option("--past", is_flag=True, help="Also what has ended.")
def list_entries(context: Context, *, past: bool) -> None:
    """List the entries, the next one first."""
    zone = _zone(context)
    since = 0.0 if past else SystemClock().now()
    entries = asyncio.run(_read(context, since))
    context.emit({"entries": [_row(entry) for entry in entries]},
                 "\n".join(_line(entry, zone) for entry in entries) or "the schedule is empty")  # fmt: skip


@schedule.command(name="add")
@data_options
@click.option("--kind", type=click.Choice(_KINDS), default="units", show_default=True, help="Units, or a kind of days.")
@click.option("--from", "begins", required=True, help="When it begins: 2026-10-12T08:00, or a date.")
@click.option("--until", "ends", required=True, help="When it ends; the day of a date is not part of it.")
@click.option("--units", type=click.IntRange(1, 10_000), help="Units to have ready, of the kind units.")
@click.option("--fleet", default="", help="Of which fleet; of all, if not given.")
@click.option("--note", default="", help="Why, in up to 200 characters.")
def add(context: Context, *, kind: str, begins: str, ends: str, **options: Any) -> None:
    """Add an entry. Times without an offset are by the clock of scaling.time_zone."""
    from atomic_guide.operations.scaling.schedule import ScheduleEntry

    zone = _zone(context)
    units, fleet, note = options["units"], options["fleet"], str(options["note"])[:200]
    if fleet:
        context.settings.scaling.fleet(fleet)
    if units is not None and kind != "units":
        raise errors.Invalid(f"--units is of the kind units, not of {kind}")
    entry = ScheduleEntry("", fleet, kind, _moment(begins, zone), _moment(ends, zone), units, note)
    added = asyncio.run(_add(context, entry))
    context.emit({"entry": _row(added)}, _line(added, zone))


@schedule.command(name="remove")
@data_options
@click.argument("name")
def remove(context: Context, *, name: str) -> None:
    """Remove the entry with an id, or everything that was imported from a calendar's file."""
    gone = asyncio.run(_remove(context, name))
    context.emit({"removed": gone}, f"{gone} removed")


@schedule.command(name="import")
@data_options
@click.argument("file", type=_FILE)
@click.option("--kind", type=click.Choice(_KINDS[1:]), help="What all its events are; else their words say it.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and import nothing.")
def import_calendar(context: Context, *, file: Path, kind: str | None, dry_run: bool) -> None:
    """Import terms and holidays from an iCalendar file, in the place of what the same file brought before.

    Of each event the summary and the categories say what it is: holiday, exams, break or term, in English or German.
    Others are counted and left out.
    """
    zone = _zone(context)
    entries, unknown = _calendar(file, kind, zone)
    if not dry_run:
        asyncio.run(_take(context, file.name, entries))
    done = "would be imported" if dry_run else "imported"
    left = f"; {unknown} left out, as their words say no kind (use --kind)" if unknown else ""
    context.emit({"entries": [_row(entry) for entry in entries], "left_out": unknown, "dry_run": dry_run},
                 "\n".join([*(_line(entry, zone) for entry in entries),
                            f"{len(entries)} of {file.name} {done}{left}"]))  # fmt: skip


def _calendar(file: Path, kind: Any, zone: ZoneInfo) -> tuple[list[ScheduleEntry], int]:
    from atomic_guide.operations.scaling.ics import MOST_BYTES, read_ics
    from atomic_guide.operations.scaling.schedule import entries_of

    if file.stat().st_size > MOST_BYTES:
        raise errors.Invalid(f"{file.name} has over {MOST_BYTES:,} bytes; export terms and holidays only")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.Invalid(f"{file.name} is no text in UTF-8") from error
    now = SystemClock().now()
    found = read_ics(text, file.name, (now - _PAST_DAYS * _DAY, now + _AHEAD_DAYS * _DAY), zone)
    return entries_of(found, file.name, kind)


def _zone(context: Context) -> ZoneInfo:
    from atomic_guide.operations.scaling.settings import zone_of

    return zone_of(context.settings.scaling)


def _moment(text: str, zone: ZoneInfo) -> float:
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError) as error:
        raise errors.Invalid(f"{text[:40]!r} is no time; write 2026-10-12T08:00 or 2026-10-12") from error


async def _read(context: Context, since: float) -> list[ScheduleEntry]:
    from atomic_guide.operations.scaling.schedule import Schedule

    async with context.open_shards() as shards:
        return await Schedule(shards.directory).entries(since)


async def _add(context: Context, entry: ScheduleEntry) -> ScheduleEntry:
    from atomic_guide.operations.scaling.schedule import Schedule

    async with context.open_shards() as shards:
        return await Schedule(shards.directory).add(entry)


async def _remove(context: Context, name: str) -> int:
    from atomic_guide.operations.scaling.schedule import Schedule

    async with context.open_shards() as shards:
        return await Schedule(shards.directory).remove(name)


async def _take(context: Context, name: str, entries: Sequence[ScheduleEntry]) -> None:
    from atomic_guide.operations.scaling.schedule import Schedule

    async with context.open_shards() as shards:
        await Schedule(shards.directory).take(name, entries)


def _row(entry: ScheduleEntry) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(entry)
    for name in ("begins_at", "ends_at"):
        row[name] = datetime.fromtimestamp(row[name], UTC).isoformat().replace("+00:00", "Z")
    return row


def _line(entry: ScheduleEntry, zone: ZoneInfo) -> str:
    begins, ends = (
        datetime.fromtimestamp(moment, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")
        for moment in (entry.begins_at, entry.ends_at)
    )
    what = f"{entry.units} units of {entry.fleet or 'every fleet'}" if entry.units is not None else entry.kind
    source = f"  [{entry.calendar}]" if entry.calendar else ""
    return f"{entry.id:16}  {begins} to {ends}  {what:24} {entry.note}{source}"
