"""`atomic-guide assets recount`: count what is stored anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.course.video.space.quotas import TenantSpace


@click.command()
@click.option("--tenant", "tenants", multiple=True, metavar="ID", help="Only this tenant; may be given again.")
@data_options
def recount(context: Context, tenants: tuple[str, ...]) -> None:
    """Count anew, by lectures and by the files in the store, what tenants use.

    A running server does the same by itself, 50 lectures a minute.
    """
    found = asyncio.run(_recounted(context, tenants))
    lines = [f"{one.tenant:24} {one.used} bytes in {one.lectures} lectures" for one in found]
    context.emit({"tenants": msgspec.to_builtins(found)}, "\n".join(lines) or "there is no tenant")


async def _recounted(context: Context, tenants: tuple[str, ...]) -> list[TenantSpace]:
    from atomic_guide.app.keeping.assembly import assembled
    from atomic_guide.course.video.space.quotas import all_space, check_tenant, known_tenants
    from atomic_guide.course.video.space.sweep import Sweep

    tell = Progress()
    async with context.open_shards() as shards:
        for tenant in tenants:
            await check_tenant(shards.directory, tenant)
        parts = (await assembled(context.settings, context.data, shards)).parts
        sweep = Sweep(shards, parts.store, parts.settings, parts.clock, parts.spread)
        wanted = tenants or await known_tenants(shards.directory)
        for tenant in wanted:
            await sweep.recount(tenant, tell)
        found = await all_space(shards.directory, parts.settings.tenant_quota_bytes)
        return [one for one in found if one.tenant in wanted]
