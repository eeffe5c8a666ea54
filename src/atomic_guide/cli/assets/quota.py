"""`atomic-guide assets quota`: what tenants store of lectures, and their limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, data_options

if TYPE_CHECKING:
    from atomic_guide.course.video.space.quotas import TenantSpace


@click.group(cls=Leading, leads="list")
def quota() -> None:
    """List what each tenant stores and may store; give a tenant a limit of its own."""


@quota.command("list")
@data_options
def list_quotas(context: Context) -> None:
    """List the tenants: bytes used and allowed, and whose limit that is."""
    found = asyncio.run(_listed(context))
    default = context.settings.video.tenant_quota_bytes
    lines = [_line(one) for one in found] or ["nothing has been stored yet"]
    context.emit({"default": default, "tenants": msgspec.to_builtins(found)}, "\n".join(lines))


@quota.command("set")
@click.argument("tenant")
@click.argument("size")
@data_options
def set_limit(context: Context, tenant: str, size: str) -> None:
    """Give a tenant a limit of its own: SIZE is 500GB, 1.5TB or a number of bytes.

    A limit below what is stored removes nothing; no more is taken until lectures are deleted.
    """
    from atomic_guide.course.video.space.account import size_text
    from atomic_guide.course.video.space.quotas import read_size

    try:
        allowed = read_size(size)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    asyncio.run(_set(context, tenant, allowed))
    context.emit({"tenant": tenant, "allowed": allowed}, f"{tenant} may store {size_text(allowed)}")


@quota.command("clear")
@click.argument("tenant")
@data_options
def clear_limit(context: Context, tenant: str) -> None:
    """Let the setting video.tenant_quota_bytes decide for a tenant again."""
    from atomic_guide.course.video.space.account import size_text

    asyncio.run(_set(context, tenant, None))
    default = context.settings.video.tenant_quota_bytes
    context.emit(
        {"tenant": tenant, "allowed": default}, f"{tenant} may store {size_text(default)}, as the setting says"
    )


def _line(one: TenantSpace) -> str:
    from atomic_guide.course.video.space.account import size_text

    share = 100 * one.used / max(one.allowed, 1)
    limit = "its own limit" if one.own else "the setting"
    return (
        f"{one.tenant:24} {size_text(one.used):>10} of {size_text(one.allowed):>10} {share:6.1f} %"
        f"  {one.lectures:6} lectures  by {limit}"
    )


async def _listed(context: Context) -> list[TenantSpace]:
    from atomic_guide.course.video.space.quotas import all_space

    async with context.open_shards() as shards:
        return await all_space(shards.directory, context.settings.video.tenant_quota_bytes)


async def _set(context: Context, tenant: str, allowed: int | None) -> None:
    from atomic_guide.app.keeping.assembly import assembled
    from atomic_guide.course.video.space.quotas import check_tenant, set_quota
    from atomic_guide.course.video.space.sweep import Sweep

    async with context.open_shards() as shards:
        await check_tenant(shards.directory, tenant)
        parts = (await assembled(context.settings, context.data, shards)).parts
        if await parts.account.standing(tenant) is None:
            await Sweep(shards, parts.store, parts.settings, parts.clock).count(tenant)
        await set_quota(shards.directory, tenant, allowed)
