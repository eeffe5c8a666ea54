"""`atomic-guide regions`: how the regions are, where a country goes, and drains."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, actor, data_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from atomic_guide.operations.regions.controls import Controls
    from atomic_guide.operations.regions.telling import Told

T = TypeVar("T")

_LOG = 20
"""Entries of the log that are shown of a region."""


@click.group(cls=Leading, leads="list")
def command() -> None:
    """How the regions of an installation are, where a country's visits go, and drains."""


@command.command("list")
@data_options
def list_regions(context: Context) -> None:
    """List every region: whether it is well, drained, and what it keeps and does.

    Each is asked by this command itself, once, beside the server's processes.
    """
    found = asyncio.run(_told(context))
    heads = f"{'region':20} {'how it is':32} {'zones':20} {'roles':22} address"
    context.emit({"regions": found}, "\n".join([heads, *map(_line, found)]) if found else _NONE)


@command.command()
@click.argument("region")
@data_options
def show(context: Context, region: str) -> None:
    """Show one region: as it is declared, how it is, how far the others are, and what happened to it."""
    from atomic_guide.operations.regions.telling import apart_km

    settings = context.settings.regions

    async def read(controls: Controls) -> list[dict[str, Any]]:
        controls.check(region)
        return await controls.events(region, _LOG)

    events = _run(context, read)
    found = next(one for one in asyncio.run(_told(context)) if one.name == region)
    own = settings.named(region)
    apart = {one.name: apart_km(own, one) for one in settings.declared if own is not None and one.name != region}
    lines = [
        _line(found),
        f"  coordinates {found.coordinates[0]:g}, {found.coordinates[1]:g}",
        f"  countries   {', '.join(found.countries) or '-'}",
        f"  primary of  {', '.join(found.primary) or '-'}",
        f"  replicas of {', '.join(found.replicas) or '-'}",
        f"  store       {found.store or '-'}",
        f"  cache nodes {', '.join(found.cache_nodes) or '-'}",
        *(f"  {km:6} km to {name}" for name, km in sorted(apart.items(), key=lambda one: one[1])),
        *(f"  {event['at']} {event['what']} {event['who'] or 'seen from ' + event['seen_from']} {event['why']}"
          for event in events),
    ]  # fmt: skip
    value = {**msgspec.to_builtins(found), "kilometres": apart, "events": events}
    context.emit(value, "\n".join(lines))


@command.command()
@click.argument("country")
@data_options
def where(context: Context, country: str) -> None:
    """Say to which regions the logins of COUNTRY (an ISO 3166 code) go, for tenants of each zone."""
    from atomic_guide.operations.regions import telling

    found = asyncio.run(_told(context)) if context.settings.regions.declared else []
    away = {one.name for one in found if one.drained or one.well is False}
    said = telling.where(context.settings.regions, country, away)
    lines = [f"{said.name} ({said.country})"]
    lines += [
        f"  {step.km:6} km  {step.region}{'  names it' if step.names_it else ''}{'  AWAY' if step.away else ''}"
        for step in said.order
    ]
    lines += [f"  tenants of zone {zone}: {region or 'nobody there at the moment'}"
              for zone, region in said.zones.items()]  # fmt: skip
    context.emit(said, "\n".join(lines))


@command.command()
@click.argument("region")
@click.option("--why", required=True, metavar="TEXT", help="For the log and whoever looks at it.")
@data_options
def drain(context: Context, region: str, why: str) -> None:
    """Send no more visits to REGION; those that have begun there go on. In force within a second."""
    from atomic_guide.operations.operators.approvals import Voter
    from atomic_guide.operations.regions.controls import Event

    event = Event(time.time(), region, "drained", who=actor(), why=why)
    voter = Voter(needed=context.settings.operators.needed)
    changed = _run(context, lambda controls: controls.drain(region, event, voter))
    said = f"{region} is drained" if changed else f"{region} was drained already"
    if changed is None:
        said = f"noted; {region} is drained once another operator asks for it, too"
    context.emit({"region": region, "drained": changed is not None, "changed": bool(changed)}, said)


@command.command()
@click.argument("region")
@data_options
def undrain(context: Context, region: str) -> None:
    """Send visits to REGION again."""
    from atomic_guide.operations.regions.controls import Event

    event = Event(time.time(), region, "undrained", who=actor())
    changed = _run(context, lambda controls: controls.undrain(region, event))
    said = f"{region} gets visits again" if changed else f"{region} was not drained"
    context.emit({"region": region, "drained": False, "changed": changed}, said)


_NONE = "no region is declared; declare them in regions.declared (docs/regions.md)"


def _run(context: Context, work: Callable[[Controls], Awaitable[T]]) -> T:
    from atomic_guide.operations.regions.controls import Controls

    async def run() -> T:
        async with context.open_shards() as shards:
            return await work(Controls(shards.directory, context.settings.regions))

    return asyncio.run(run())


async def _told(context: Context) -> list[Told]:
    from atomic_guide.operations.regions import telling
    from atomic_guide.operations.regions.controls import Controls
    from atomic_guide.operations.regions.looking import HttpProbe
    from atomic_guide.regions.health import Standing

    settings = context.settings.regions
    async with context.open_shards() as shards:
        drains = await Controls(shards.directory, settings).drains()
    probe = HttpProbe(settings.probes.timeout)
    try:
        found = await asyncio.gather(*(probe(one) for one in settings.declared if one.address))
    finally:
        await probe.close()
    now = time.time()
    standings = {one.region: Standing(one.well, 1, one.well, one.ms, one.why, now) for one in found}
    return telling.told(settings, "", standings, drains)


def _line(one: Told) -> str:
    how = "not asked" if one.well is None else f"well, {one.ms:.0f} ms" if one.well else f"AWAY: {one.why}"
    how += "  DRAINED" if one.drained else ""
    return f"{one.name:20} {how:32} {','.join(one.zones):20} {','.join(one.roles):22} {one.address}"
