"""`atomic-guide assets reprocess`: many lectures again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.course.video.again import Filter

_MOST = 100_000


def _status(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del context, parameter
    if value not in {None, "ready", "failed"}:
        raise click.BadParameter("it is ready or failed")
    return value


@click.command()
@data_options
@click.option("--tenant", metavar="ID", help="Only this tenant's lectures.")
@click.option("--course", metavar="CONTEXT", help="Only this course: the LMS's context id.")
@click.option("--status", metavar="STATUS", callback=_status, help="Only lectures that are `ready`, or that `failed`.")
@click.option("--before", metavar="TIME", help="Only lectures that became ready before this ISO 8601 time.")
@click.option("--all", "everything", is_flag=True, help="All lectures, where no other option chooses.")
@click.option("--limit", type=click.IntRange(1, _MOST), default=_MOST, help="Most lectures (default 100,000).")
@click.option("--rate", type=click.FloatRange(0.1, 6000), default=60.0, help="Lectures a minute (default 60).")
@click.option("--dry-run", is_flag=True, help="Only list what would be processed again.")
def reprocess(  # noqa: PLR0913 - one argument for each option
    context: Context,
    *,
    tenant: str | None,
    course: str | None,
    status: str | None,
    before: str | None,
    everything: bool,
    limit: int,
    rate: float,
    dry_run: bool,
) -> None:
    """Have lectures processed again with the settings of now; what plays goes on playing meanwhile.

    Works beside a running server, whose workers do it. Given again after it was stopped, it goes on: lectures that are
    being processed are passed over. With --before the ones that are done are, too.
    """
    from atomic_guide.clock import from_iso
    from atomic_guide.course.video.again import Filter

    try:
        moment = from_iso(before) if before else None
    except ValueError as error:
        raise click.UsageError(f"--before {before} is not an ISO 8601 time") from error
    wanted = Filter(tenant, course, status, moment)
    if wanted == Filter() and not everything:
        raise click.UsageError("say which lectures: --tenant, --course, --status, --before, or --all")
    found = asyncio.run(_asked(context, wanted, limit, 0.0 if dry_run else 60.0 / rate, dry_run=dry_run))
    lines = [f"{one['id']}  {one['status']:7}  tenant {one['tenant']}  {one['title']}" for one in found["lectures"]]
    lines += [f"{one['id']}  passed over: {one['reason']}" for one in found["passed_over"]]
    verb = "would be processed again" if dry_run else "will be processed again"
    context.emit(found, "\n".join([*lines, f"{len(found['lectures'])} lectures {verb}"]))


async def _asked(context: Context, wanted: Filter, limit: int, pause: float, *, dry_run: bool) -> dict[str, Any]:
    from atomic_guide.app.keeping.assembly import assembled
    from atomic_guide.course.video.again import chosen
    from atomic_guide.course.video.again import reprocess as again
    from atomic_guide.errors import Conflict, NotFound, OutOfSpace

    tell = Progress()
    done: list[dict[str, Any]] = []
    passed: list[dict[str, Any]] = []
    async with context.open_shards() as shards:
        parts = (await assembled(context.settings, context.data, shards)).parts
        async for key, row in chosen(parts, wanted):
            if len(done) >= limit:
                break
            shown = {name: row[name] for name in ("id", "tenant", "course", "title", "status")}
            if not dry_run:
                try:
                    await again(parts, key, row["id"])
                except (Conflict, NotFound, OutOfSpace) as error:
                    passed.append({"id": row["id"], "reason": error.message})
                    continue
                await asyncio.sleep(pause)
            done.append(shown)
            tell(f"{len(done)} lectures")
    return {"dry_run": dry_run, "lectures": done, "passed_over": passed}
