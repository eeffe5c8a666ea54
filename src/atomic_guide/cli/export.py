"""`atomic-guide export`: hand over what is kept about a person or a tenant; show who read records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.app.keeping.assembly import Keeping
    from atomic_guide.course.keeping.reads import Read
    from atomic_guide.course.keeping.survey import Whom

T = TypeVar("T")

_tenant = click.option("--tenant", required=True, metavar="ID", help="The tenant; `platforms list` shows them.")
_to = click.option(
    "--to", "path", required=True, metavar="PATH", type=click.Path(path_type=Path), help="A folder, or a file NAME.zip."
)


@click.group()
def command() -> None:
    """Export everything about a person or a tenant; show the log of staff reads."""


@command.command()
@data_options
@_tenant
@click.option("--user", required=True, metavar="SUB", help="The person's id in the LMS (sub).")
@_to
def person(context: Context, tenant: str, user: str, path: Path) -> None:
    """Export everything about a person of a tenant, from every course. The export is noted in the log of reads."""
    from atomic_guide.course.keeping.survey import Whom

    _export(context, Whom(tenant=tenant, user=user), path)


@command.command()
@data_options
@_tenant
@_to
def tenant(context: Context, tenant: str, path: Path) -> None:
    """Export a whole tenant: every course with its files. The export is noted in the log of reads."""
    from atomic_guide.course.keeping.survey import Whom

    _export(context, Whom(tenant=tenant), path)


@command.command()
@data_options
@_tenant
@click.option("--course", required=True, metavar="CONTEXT", help="The LMS's context id of the course.")
@click.option("--user", default="", metavar="SUB", help="Only reads that took in this student's records.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, help="Most entries (default 1000).")
def reads(context: Context, tenant: str, course: str, user: str, limit: int) -> None:
    """Show who on the staff read students' records in a course, the newest first."""
    from atomic_guide.clock import iso
    from atomic_guide.engines.data.placement import CourseKey

    key = CourseKey.of(tenant, course)
    found: list[Read] = _with(context, lambda keeping: keeping.reads.of(key, limit))
    chosen = [one for one in found if not user or one.subject in {"", user}]
    rows = [{**msgspec.structs.asdict(one), "at": iso(one.at)} for one in chosen]
    lines = [
        f"{iso(one.at)}  {one.reader:24} {one.call:16} {one.subject or 'everybody':24} {one.reads:4} times"
        for one in chosen
    ]
    context.emit({"reads": rows}, "\n".join(lines) or "nobody has read records of this course")


def _export(context: Context, whom: Whom, path: Path) -> None:
    async def work(keeping: Keeping) -> dict[str, int]:
        from atomic_guide.course.keeping.bundle import Bundle

        bundle = Bundle(path)
        try:
            return await keeping.exporter(Progress()).export(whom, bundle)
        except BaseException:
            bundle.abandon()
            raise

    rows = _with(context, work)
    lines = [str(path), *(f"  {name:24} {count:8} rows" for name, count in rows.items() if count)]
    context.emit({"path": str(path), "rows": rows}, "\n".join(lines))


def _with(context: Context, work: Callable[[Keeping], Awaitable[T]]) -> T:
    async def whole() -> T:
        from atomic_guide.app.keeping.assembly import assembled

        async with context.open_shards() as shards:
            keeping = await assembled(context.settings, context.data, shards)
            try:
                return await work(keeping)
            finally:
                await keeping.reads.close()

    return asyncio.run(whole())
