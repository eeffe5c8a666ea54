"""`atomic-guide residency`: whether everything of each tenant is where its zone is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, Leading, data_options

if TYPE_CHECKING:
    from atomic_guide.app.residency import LogFile, Residency

_SHOWN = 50


@click.group(cls=Leading, leads="report")
def command() -> None:
    """Whether everything of each tenant is where its zone is."""


@command.command()
@click.option("--tenant", "tenants", multiple=True, metavar="TENANT", help="Look for this one; without: for all.")
@click.option("--log", "logs", multiple=True, metavar="REGION=FILE", help="A log, and the region that wrote it.")
@data_options
def report(context: Context, tenants: tuple[str, ...], logs: tuple[str, ...]) -> None:
    """Look for what is outside of its tenant's zone: in shards, stores, the data directory, what NATS keeps, and logs.

    Exits with 1 where something is, or where a part could not be looked through.
    """
    found = asyncio.run(_looked(context, tenants, [_log(text) for text in logs]))
    lines = [
        f"{one.tenant} zone {one.zone}: {sum(one.rows.values())} rows in {', '.join(one.rows) or 'no shard'},"
        f" {sum(one.objects.values())} objects in further stores, {one.files} in the data directory"
        for one in found.tenants
    ]
    place = found.directory
    where = f"stands in region {place.region}" if place.region else "stands in no declared region, as its shards do"
    lines.append(f"the data directory {place.path} {where}: for zone {', '.join(place.zones) or 'none'}")
    lines += [f"ASTRAY {one.tenant} of zone {one.zone}: {one.where}: {one.what}" for one in found.astray[:_SHOWN]]
    lines += [f"not looked through: {where}: {why}" for where, why in found.unseen.items()]
    lines.append("looked through " + ", ".join(f"{count} {what}" for what, count in found.looked.items()))
    lines.append("everything is in its zone" if found.ok else f"{len(found.astray)} things are not in their zone")
    context.emit(found, "\n".join(lines))
    if not found.ok:
        raise click.exceptions.Exit(1)


def _log(text: str) -> LogFile:
    from atomic_guide.app.residency import LogFile

    region, equals, path = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is no log; write it as REGION=FILE")
    return LogFile(region, Path(path))


async def _looked(context: Context, tenants: tuple[str, ...], logs: list[LogFile]) -> Residency:
    from atomic_guide.app.residency import look

    async with context.open_shards() as shards:
        await shards.open_all()
        return await look(context.settings, shards, tenants, logs)
