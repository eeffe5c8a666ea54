"""`atomic-guide scores`: files of scores in, figures out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, Leading, data_options

if TYPE_CHECKING:
    from atomic_guide.course.analytics.imports import Progress
    from atomic_guide.course.analytics.standings import Standings
    from atomic_guide.engines.data.placement import CourseKey

_SHOWN = 20
"""Rejected rows that are printed; --json has a hundred."""


@click.group(cls=Leading, leads="imports")
def command() -> None:
    """Import files of scores, follow imports, and show a course's figures."""


@command.command("import")
@data_options
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", required=True, metavar="TENANT", help="The deployment, as `platforms list` names it.")
@click.option("--context", "course", required=True, metavar="ID", help="What the LMS calls the course (context id).")
@click.option("--format", "form", type=click.Choice(["csv", "ndjson", "parquet"]), help="Where the name tells none.")
@click.option("--dry-run", is_flag=True, help="Read and check every row, store nothing.")
@click.option("--again", is_flag=True, help="Read a file from its beginning that was imported before.")
def import_file(context: Context, *, file: Path, tenant: str, course: str, **options: Any) -> None:
    """Import a file of scores; after a crash, the same call goes on where it stopped. Works beside a running server."""
    from atomic_guide.course.analytics.imports import facts
    from atomic_guide.engines.data.placement import CourseKey

    dry_run, watch = options["dry_run"], _Watch()
    progress = asyncio.run(_import(context, CourseKey.of(tenant, course), file, watch, options))
    taken = "would be accepted" if dry_run else "accepted"
    counts = (progress.accepted, progress.duplicates, progress.rejected_count)
    lines = ["{} {:,}, duplicates {:,}, rejected {:,}".format(taken, *counts)]
    if not watch.told:
        lines.insert(0, f"{file.name} had been imported already; --again reads it from its beginning")
    lines += [f"line {rejected.line}: {rejected.reason}" for rejected in progress.rejected[:_SHOWN]]
    if progress.rejected_count > _SHOWN:
        lines.append(f"... and {progress.rejected_count - _SHOWN:,} more rejected rows")
    context.emit({**facts(progress), "dry_run": dry_run}, "\n".join(lines))


@command.command()
@data_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most imports to list (default 100).")
def imports(context: Context, limit: int) -> None:
    """List imports, the newest first, with how far each has come."""

    async def work() -> list[dict[str, Any]]:
        from atomic_guide.clock import SystemClock
        from atomic_guide.course.analytics.imports import Imports

        async with context.open_shards() as shards:
            return await Imports(shards, SystemClock()).listed(limit)

    found = asyncio.run(work())
    lines = [_line(one) for one in found]
    context.emit({"imports": found}, "\n".join(lines) or "nothing has been imported")


@command.command()
@data_options
@click.option("--tenant", required=True, metavar="TENANT", help="The deployment, as `platforms list` names it.")
@click.option("--context", "course", required=True, metavar="ID", help="What the LMS calls the course (context id).")
@click.option("--user", metavar="SUB", help="Also where this student stands.")
def show(context: Context, tenant: str, course: str, user: str | None) -> None:
    """Show a course's curve: students with a score, mean, percentiles and histogram, without its instructors."""
    from atomic_guide.course.analytics import figures
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.errors import NotFound

    standings = asyncio.run(_standings(context, CourseKey.of(tenant, course), user))
    if not len(standings):
        message = f"nobody has a score in the course {course} of {tenant}; is it spelt as the LMS spells it?"
        raise NotFound(message)
    percentiles = {
        f"p{share}": value for share, value in zip(figures.PERCENTILES, standings.percentiles(), strict=True)
    }
    mean, histogram = standings.mean(), standings.tenths()
    curve = {"count": len(standings), "mean": mean, "percentiles": percentiles, "histogram": histogram}
    lines = [f"{len(standings):,} students with a score, mean {mean:.1%}"]
    lines.append(", ".join(f"{name} {value:.1%}" for name, value in percentiles.items()))
    lines += [f"{10 * tenth:3}-{10 * tenth + 10:3}%  {count:>10,}" for tenth, count in enumerate(histogram)]
    if user is None:
        context.emit({"course": curve}, "\n".join(lines))
        return
    standing = standings.standing(user)
    if standing is None:
        message = f"{user} has no score in the course {course} of {tenant}"
        raise NotFound(message)
    percentile = f", percentile {standing.percentile}" if standing.percentile is not None else ""
    lines.append(f"{user}: mean {standing.mean:.1%}, rank {standing.rank:,}{percentile}")
    context.emit({"course": curve, "student": {"user": user, **standing._asdict()}}, "\n".join(lines))


class _Watch:
    """Prints how far an import has come: after a second, and once in each that follows."""

    def __init__(self) -> None:
        self._first: Progress | None = None
        self._began = self._last = time.monotonic()

    @property
    def told(self) -> bool:
        """Whether anything was read at all."""
        return self._first is not None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = progress, now
        if now - self._last < 1 or now == self._began:
            return
        self._last = now
        speed = (progress.rows - self._first.rows) / (now - self._began)
        done = f"{_share(progress.position, progress.size)}, {progress.rows:,} rows, {speed:,.0f} a second"
        click.echo(f"{progress.name}: {done}, {progress.rejected_count:,} rejected", err=True)


def _line(one: dict[str, Any]) -> str:
    state = "finished" if one["finished_at"] else f"{_share(one['position'], one['size'])} done"
    course = f"{one['tenant']} {one['context'] or one['course']}"
    counts = f"accepted {one['accepted']:,}, duplicates {one['duplicates']:,}, rejected {one['rejected_count']:,}"
    return f"{one['updated_at']}  {state:>9}  {one['name']}  {course}  {counts}"


def _share(position: int, size: int) -> str:
    return f"{position / size:.0%}" if size else "100%"


async def _import(context: Context, key: CourseKey, file: Path, watch: _Watch, options: dict[str, Any]) -> Progress:
    from atomic_guide.app.telling import telling_beside
    from atomic_guide.clock import SystemClock
    from atomic_guide.course.analytics.imports import Imports, check_file
    from atomic_guide.course.analytics.sources import form_of
    from atomic_guide.course.notifications.feed import Feed
    from atomic_guide.engines.queues.jobs import Queues

    clock, settings = SystemClock(), context.settings
    form = options["form"] or form_of(file)
    if options["dry_run"]:
        return await check_file(file, form, clock, watch)
    async with context.open_shards() as shards:
        queues = Queues(shards, clock, settings.queues)
        feed = Feed(shards, clock, queues, settings.notifications, settings.mail)
        async with telling_beside(settings, feed, queues):
            return await Imports(shards, clock, feed).run(key, file, form, watch, again=options["again"])


async def _standings(context: Context, key: CourseKey, user: str | None) -> Standings:
    from atomic_guide.clock import SystemClock
    from atomic_guide.course.analytics.ledger import make_standings
    from atomic_guide.course.analytics.store import QUERIES
    from atomic_guide.course.keeping.reads import Reads

    last = time.monotonic()

    def watch(rows: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 1:
            last = time.monotonic()
            click.echo(f"{rows:,} scores read", err=True)

    async with context.open_shards() as shards:
        database = shards.of(key)
        people = await database.scan(QUERIES["read_teachers_and"], {**key.columns, "user": ""})
        teachers = {row["user"] for row in people if row["role"] == "instructor"}
        standings, _ = await make_standings(database, key, teachers, watch)
        if len(standings):
            await Reads(shards, SystemClock()).record(key, "operator", "scores.show", user or "")
        return standings
