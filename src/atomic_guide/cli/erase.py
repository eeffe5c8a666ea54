"""`atomic-guide erase`: forget a person or a tenant; legal holds; receipts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, data_options

if TYPE_CHECKING:
    from atomic_guide.app.keeping.assembly import Keeping
    from atomic_guide.course.keeping.holds import Hold
    from atomic_guide.course.keeping.receipts import Receipt
    from atomic_guide.course.keeping.survey import Whom

T = TypeVar("T")

_tenant = click.option("--tenant", required=True, metavar="ID", help="The tenant; `platforms list` shows them.")


@click.group()
def command() -> None:
    """Erase a person or a tenant everywhere; place legal holds; show receipts."""


@command.command()
@data_options
@_tenant
@click.option("--user", required=True, metavar="SUB", help="The person's id in the LMS (sub).")
@click.option("--videos", is_flag=True, help="Remove the lectures that the person uploaded, too.")
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def person(context: Context, tenant: str, user: str, *, videos: bool, dry_run: bool, yes: bool) -> None:
    """Erase a person of a tenant, in every course, with a receipt.

    Messages become tombstones that keep their number. Lectures stay without the person's name, unless --videos.
    """
    from atomic_guide.course.keeping.survey import Whom

    _erase(context, Whom(tenant=tenant, user=user, videos=videos), dry_run=dry_run, yes=yes)


@command.command()
@data_options
@_tenant
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def tenant(context: Context, tenant: str, *, dry_run: bool, yes: bool) -> None:
    """Erase a whole tenant: courses, files, registration of the deployment, with a receipt."""
    from atomic_guide.course.keeping.survey import Whom

    _erase(context, Whom(tenant=tenant), dry_run=dry_run, yes=yes)


@command.command()
@data_options
def resume(context: Context) -> None:
    """Complete erasures that a crash interrupted; a running server also does so by itself."""
    done = _with(context, lambda keeping: keeping.erasures.resume())
    text = "\n".join(_text(receipt) for receipt in done) or "no erasure is under way"
    context.emit({"receipts": [msgspec.to_builtins(receipt) for receipt in done]}, text)


@command.command()
@data_options
@click.option("--since", metavar="TIME", help="Repeat those done at or after this ISO 8601 time, too.")
@click.option("--ledger", metavar="FILE", type=click.Path(path_type=Path, exists=True), help="One more ledger to read.")
def again(context: Context, since: str | None, ledger: Path | None) -> None:
    """Erase again whom the databases do not know to be erased, after they were put back by other means than `restore`.

    A server does this by itself before it serves. With PostgreSQL recovered to a time, give --since an hour earlier:
    the servers' clocks may differ.
    """
    from atomic_guide.clock import from_iso

    try:
        moment = from_iso(since) if since else None
    except ValueError as error:
        raise click.UsageError(f"--since {since} is not an ISO 8601 time") from error

    async def whole() -> int:
        from atomic_guide.app.keeping.assembly import catch_up

        async with context.open_shards() as shards:
            return await catch_up(context.settings, shards, ledger, moment)

    repeated = asyncio.run(whole())
    context.emit({"repeated": repeated}, f"erased again: {repeated}")


@command.command()
@data_options
def receipts(context: Context) -> None:
    """List every erasure with its receipt, and whether the receipt is unchanged."""

    async def read(keeping: Keeping) -> list[dict[str, Any]]:
        from atomic_guide.clock import iso
        from atomic_guide.course.keeping.erase import known_erasures

        known = await known_erasures(keeping.parts.shards.directory)
        return [
            {
                "id": one.record.id,
                "kind": one.record.kind,
                "state": one.state,
                "asked_at": iso(one.record.at),
                "unchanged": one.receipt.is_sealed_with(keeping.key) if one.receipt else None,
                "receipt": msgspec.to_builtins(one.receipt),
            }
            for one in known
        ]

    rows = _with(context, read)
    lines = [
        f"{row['id']}  {row['asked_at']}  {row['kind']:7} {row['state']:8}"
        f" {'CHANGED' if row['unchanged'] is False else ''}"
        for row in rows
    ]
    context.emit({"erasures": rows}, "\n".join(lines) or "nobody has been erased")
    if any(row["unchanged"] is False for row in rows):
        raise click.ClickException("a receipt is not as it was written; compare it with the printed one")


@command.group(cls=Leading, leads="list")
def hold() -> None:
    """Legal holds: what is held is neither erased nor let go by retention."""


@hold.command("add")
@data_options
@_tenant
@click.option("--course", default="", metavar="CONTEXT", help="Only this course: the LMS's context id.")
@click.option("--user", default="", metavar="SUB", help="Only this person: the id in the LMS.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, such as the number of the case.")
def add_hold(context: Context, tenant: str, course: str, user: str, reason: str) -> None:
    """Place a hold on a tenant, a course or a person."""
    from atomic_guide.engines.data.placement import CourseKey

    key = CourseKey.of(tenant, course).course if course else ""
    placed = _with(context, lambda keeping: keeping.holds.add(tenant, key, user, reason))
    context.emit(msgspec.to_builtins(placed), f"placed {placed.id}")


@hold.command("list")
@data_options
def list_holds(context: Context) -> None:
    """List the holds, lifted ones too."""
    known: list[Hold] = _with(context, lambda keeping: keeping.holds.all())
    lines = [
        f"{one.id}  {'lifted' if one.lifted_at else 'in force':8}  tenant {one.tenant}"
        f"{f' course {one.course}' if one.course else ''}{f' person {one.person}' if one.person else ''}  {one.reason}"
        for one in known
    ]
    context.emit({"holds": msgspec.to_builtins(known)}, "\n".join(lines) or "there is no legal hold")


@hold.command("remove")
@click.argument("identifier", metavar="HOLD")
@data_options
def remove_hold(context: Context, identifier: str) -> None:
    """Lift a hold."""
    _with(context, lambda keeping: keeping.holds.lift(identifier))
    context.emit({"lifted": identifier}, f"lifted {identifier}")


def _erase(context: Context, whom: Whom, *, dry_run: bool, yes: bool) -> None:
    if not dry_run and not yes:
        click.confirm(f"Erase {whom.named()} for good?", abort=True, err=True)

    async def work(keeping: Keeping) -> Receipt:
        return await (keeping.erasures.preview(whom) if dry_run else keeping.erasures.erase(whom))

    receipt = _with(context, work)
    asked = {"tenant": whom.tenant, **({"user": whom.user} if whom.user else {})}
    context.emit({"asked": asked, "dry_run": dry_run, "receipt": msgspec.to_builtins(receipt)}, _text(receipt))
    failed = [name for name, outcome in receipt.copies.items() if outcome != "erased"]
    if failed:
        click.echo(f"not every copy could be erased: {', '.join(failed)}; see the receipt", err=True)
        sys.exit(1)


def _text(receipt: Receipt) -> str:
    lines = [f"{'erased' if receipt.finished_at else 'would erase'} {receipt.kind}, receipt {receipt.id}"]
    lines += [f"  {name:16} {count:8}" for name, count in receipt.found.items()] or ["  nothing was found"]
    lines += [f"  copy {name}: {outcome}" for name, outcome in receipt.copies.items()]
    if receipt.backups:
        lines.append(f"  copies that hold it until they are gone: {len(receipt.backups)}; a restore erases it again")
    return "\n".join(lines)


def _with(context: Context, work: Callable[[Keeping], Awaitable[T]]) -> T:
    async def whole() -> T:
        from atomic_guide.app.keeping.assembly import assembled

        async with context.open_shards() as shards:
            return await work(await assembled(context.settings, context.data, shards))

    return asyncio.run(whole())
