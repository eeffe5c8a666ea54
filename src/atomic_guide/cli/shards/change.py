"""`shards add`, `shards weight` and `shards zone`."""

from __future__ import annotations

import asyncio
import time

import click

from atomic_guide.cli.options import Context, data_options

_WEIGHT = click.FloatRange(0.001, 1000)
_dry_run = click.option("--dry-run", is_flag=True, help="Check and say what would be done, and do nothing.")


@click.command()
@click.argument("name", required=False)
@data_options
@click.option("--weight", type=_WEIGHT, help="Its share of the load beside the others' (default: 1, or the setting's).")
@_dry_run
def add(context: Context, name: str | None, weight: float | None, *, dry_run: bool) -> None:
    """Add a shard, or take one back that was drained. It is empty until `shards rebalance`.

    On PostgreSQL, NAME is declared in databases.servers and migrated first. Embedded, its file is made, by default the
    next one; a running server sees it within a second, and it is opened from then on whatever databases.shards says.
    """
    from atomic_guide.engines.data.embedded import make_shard
    from atomic_guide.engines.data.layout import change
    from atomic_guide.engines.data.opening import is_embedded

    settings = context.settings.databases
    embedded = is_embedded(settings)
    if name is None and not embedded:
        raise click.UsageError("name the shard as databases.servers does")

    async def added() -> tuple[str, bool]:
        async with context.open_shards() as shards:
            chosen = name or await change.free_name(shards)
            if embedded and not dry_run:
                await asyncio.to_thread(make_shard, context.data, settings, chosen)
            if dry_run:
                return chosen, await change.is_new(shards, chosen)
            return chosen, await change.add(shards, chosen, weight, time.time())

    chosen, new = asyncio.run(added())
    said = f"{chosen} takes buckets now; `atomic-guide shards rebalance` gives it its share"
    if not new:
        said = f"{chosen} is active already"
    elif dry_run:
        said = f"would add {chosen}"
    context.emit({"shard": chosen, "added": new and not dry_run, "dry_run": dry_run}, said)


@click.command()
@click.argument("name")
@click.argument("weight", type=_WEIGHT)
@data_options
@_dry_run
def weight(context: Context, name: str, weight: float, *, dry_run: bool) -> None:
    """Change the share of its zone's load that a shard is to carry, beside the others' weights."""
    from atomic_guide.engines.data.layout import change
    from atomic_guide.engines.data.layout.view import find_registered

    async def weighed() -> None:
        async with context.open_shards() as shards:
            await find_registered(shards, name)
            if not dry_run:
                await change.weigh(shards, name, weight)

    asyncio.run(weighed())
    said = f"{'would let' if dry_run else ''} {name} {'weigh' if dry_run else 'weighs'} {weight:g}".strip()
    context.emit(
        {"shard": name, "weight": weight, "dry_run": dry_run}, f"{said}; `atomic-guide shards plan` shows more"
    )


@click.command()
@click.argument("tenant")
@click.argument("zone")
@data_options
@_dry_run
def zone(context: Context, tenant: str, zone: str, *, dry_run: bool) -> None:
    """Keep a tenant's courses in a residency zone. Before its first course; refused afterwards."""
    from atomic_guide.engines.data.layout import change

    async def assigned() -> None:
        async with context.open_shards() as shards:
            if dry_run:
                await change.check_zone(shards, tenant, zone)
            else:
                await change.assign_zone(shards, tenant, zone)

    asyncio.run(assigned())
    said = f"courses of {tenant} {'would be' if dry_run else 'are'} kept in zone {zone}"
    context.emit({"tenant": tenant, "zone": zone, "dry_run": dry_run}, said)
