"""`atomic-guide assets replicas|where|verify|repair|deletions`: copies of lectures in other stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Context, Progress, data_options
from atomic_guide.errors import Conflict, GuideError, NotFound, Unavailable

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.catalog import Listed, Placed, Wanted
    from atomic_guide.course.video.spread.deleting import Receipt
    from atomic_guide.course.video.spread.looking import Looked
    from atomic_guide.course.video.spread.objects import Object
    from atomic_guide.course.video.spread.spread import Spread

_STATES = ("pending", "copying", "verified", "failed", "deleting")
_PAGE = 500
_WRONG = 5
"""Wrong objects that a line names; `where` and --json name them all."""


def _chosen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose copies."""
    for name, metavar, text in (
        ("--store", "NAME", "Only this store; `local` is the data directory's own."),
        ("--lecture", "ID", "Only this lecture."),
        ("--tenant", "ID", "Only this tenant's lectures."),
    ):
        function = click.option(name, default="", metavar=metavar, help=text)(function)
    return function


@click.command()
@data_options
@_chosen
@click.option("--state", type=click.Choice(_STATES), help="Only copies in this state.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, help="Most copies (default 1,000).")
def replicas(context: Context, *, tenant: str, lecture: str, store: str, state: str | None, limit: int) -> None:
    """List copies of lectures: store, state, how much is done, and what went wrong."""
    from atomic_guide.course.video.spread.catalog import Wanted

    found = asyncio.run(_listed(context, Wanted(tenant, lecture, store, state or ""), limit))
    lines = [_line(one) for one in found] or ["there are no such copies"]
    context.emit({"replicas": msgspec.to_builtins(found)}, "\n".join(lines))


@click.command()
@click.argument("lecture")
@data_options
@click.option("--region", default="", metavar="NAME", help="Whom it is asked for: somebody in this region.")
@click.option("--objects", is_flag=True, help="Every object in every store, not only those that are not verified.")
def where(context: Context, lecture: str, region: str, *, objects: bool) -> None:
    """Say in which stores a lecture is, which objects are not verified, and from where a region would get it."""
    found = asyncio.run(_where(context, lecture, region, everything=objects))
    lines: list[str] = []
    for one in found["stores"]:
        counts = ", ".join(f"{count} {state}" for state, count in one["counts"].items())
        lines.append(
            f"{one['store']:20} {one['region'] or '-':12} {one['state']:9} {one['verified_at'] or 'never verified':24}"
            f" {counts}{', nearest' if one['nearest'] else ''}"
        )
        lines += [f"  {each.name:30} {each.bytes:>12} {each.state}" for each in one["objects"]]
    context.emit(found, "\n".join(lines))


@click.command()
@data_options
@_chosen
def verify(context: Context, *, tenant: str, lecture: str, store: str) -> None:
    """Read copies whole, here and in other stores, and compare every object with its SHA-256; change nothing.

    Exits with 1 where something is not as it should be.
    """
    _look(context, (tenant, lecture, store), heal=False)


@click.command()
@data_options
@_chosen
def repair(context: Context, *, tenant: str, lecture: str, store: str) -> None:
    """Read copies as `verify` does, and replace what is altered, truncated or missing by a good copy.

    Exits with 1 where something has no good copy, or a store is away.
    """
    _look(context, (tenant, lecture, store), heal=True)


@click.command()
@click.argument("deletion", required=False)
@data_options
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="Most deletions (default 20).")
def deletions(context: Context, deletion: str | None, limit: int) -> None:
    """Show what each store has said to the latest deletions, or to one, and whether the receipt is genuine."""
    found = asyncio.run(_receipts(context, deletion, limit))
    lines = []
    for receipt, genuine in found:
        state = ("sealed" if genuine else "NOT GENUINE") if receipt.finished_at else "waits for stores"
        lines.append(f"{receipt.id}  asked {receipt.asked_at}  {state}")
        lines += [
            f"  {one.store:20} {one.objects} objects, {one.tries} tries, {one.gone_at or one.error or 'not asked yet'}"
            for one in receipt.stores
        ]
    shown = [{**msgspec.to_builtins(receipt), "genuine": genuine} for receipt, genuine in found]
    context.emit({"deletions": shown}, "\n".join(lines) or "nothing has been deleted from other stores")


def _look(context: Context, chosen: tuple[str, str, str], *, heal: bool) -> None:
    from atomic_guide.course.video.spread.catalog import Wanted

    found, away = asyncio.run(_looked(context, Wanted(*chosen), heal=heal))
    findings = [(one, finding) for one in found for finding in one.findings]
    lines = [
        f"{one.tenant}/{one.media} in {one.store}: {finding.name} {finding.outcome}"
        + (f", healed from {finding.healed_from}" if finding.healed_from else "")
        for one, finding in findings
    ]
    lines += [f"{name}: {reason}" for name, reason in away.items()]
    total = f"{sum(one.objects for one in found)} objects read, {sum(one.bytes for one in found)} bytes"
    open_ones = sum(finding.healed_from is None for _, finding in findings)
    value = {"copies": msgspec.to_builtins(found), "away": away, "wrong": len(findings), "open": open_ones}
    context.emit(value, "\n".join([*lines, f"{total}; {len(findings)} wrong, {open_ones} of them still"]))
    if open_ones:
        remedy = "no store has a good copy of them" if heal else "`atomic-guide assets repair` replaces them"
        raise Conflict(f"{open_ones} objects are not what they should be; {remedy}")
    if away:
        raise Unavailable(f"{', '.join(away)} could not be read; give the command again")


def _line(one: Placed) -> str:
    share = f"{one.done}/{one.objects}" if one.objects is not None else "-"
    wrong = [f"{name} {outcome}" for name, outcome in one.wrong.objects.items()]
    wrong += [f"{one.wrong.more} more"] if one.wrong.more else []
    said = "; ".join([*([one.error] if one.error else []), *wrong[:_WRONG]])
    return f"{one.tenant:24} {one.media}  {one.store:20} {one.state:9} {share:>11}  {said}".rstrip()


@asynccontextmanager
async def _opened(context: Context) -> AsyncIterator[Spread]:
    from atomic_guide.app.keeping.assembly import assembled

    async with context.open_shards() as shards:
        spread = (await assembled(context.settings, context.data, shards)).parts.spread
        if spread is None:
            raise NotFound("there are no copies")
        yield spread


async def _pages(spread: Spread, wanted: Wanted) -> AsyncIterator[Placed]:
    after = ("", "", "")
    while rows := await spread.parts.catalog.page(wanted, after, _PAGE):
        for row in rows:
            yield row
        after = (rows[-1].tenant, rows[-1].media, rows[-1].store)


async def _listed(context: Context, wanted: Wanted, limit: int) -> list[Placed]:
    found: list[Placed] = []
    async with _opened(context) as spread:
        async for one in _pages(spread, wanted):
            found.append(one)
            if len(found) == limit:
                break
    return found


async def _looked(context: Context, wanted: Wanted, *, heal: bool) -> tuple[list[Looked], dict[str, str]]:
    from atomic_guide.course.video.spread.looking import look

    tell = Progress()
    found: list[Looked] = []
    away: dict[str, str] = {}
    async with _opened(context) as spread:
        spread.check_store(wanted.store)
        async for one in _pages(spread, wanted):
            listed = await spread.parts.catalog.find(one.tenant, one.media)
            if listed is None or one.state not in {"verified", "failed"} or one.store in away:
                continue
            try:
                found.append(await look(spread.parts, listed, one.store, heal=heal))
            except GuideError as error:
                away[one.store] = error.message
            tell(f"{sum(each.objects for each in found)} objects read")
    return found, away


async def _where(context: Context, lecture: str, region: str, *, everything: bool) -> dict[str, Any]:
    from atomic_guide.course.video.spread.catalog import Wanted
    from atomic_guide.course.video.spread.objects import counted

    async with _opened(context) as spread:
        rows = [one async for one in _pages(spread, Wanted(media=lecture))]
        if not rows:
            raise NotFound(f"no store has a lecture {lecture[:40]}")
        listed = await spread.parts.catalog.find(rows[0].tenant, lecture)
        nearest = await spread.serving.store_for(listed, region) if listed is not None else None
        regions = {one.name: one.region for one in spread.parts.settings.stores}
        seen = await _objects(spread, listed)
        stores = [
            {
                "store": one.store,
                "region": regions.get(one.store, spread.parts.region),
                "state": one.state,
                "verified_at": one.verified_at,
                "error": one.error,
                "nearest": one.store == nearest,
                "counts": counted(seen.get(one.store, [])),
                "objects": [each for each in seen.get(one.store, []) if everything or each.state != "verified"],
            }
            for one in rows
        ]
        return {"lecture": lecture, "tenant": rows[0].tenant, "region": region, "stores": stores}


async def _objects(spread: Spread, listed: Listed | None) -> dict[str, list[Object]]:
    """The objects of a lecture in each store; none where its list is gone."""
    from atomic_guide.course.video.spread.objects import objects_of

    if listed is None:
        return {}
    found: dict[str, list[Object]] = {}
    for one in await spread.parts.catalog.replicas(listed.tenant, listed.media):
        try:
            held = await spread.parts.manifest(listed, one.held) if one.held is not None else None
            found[one.store] = objects_of(one, await spread.parts.manifest(listed), held)
        except NotFound:
            continue
    return found


async def _receipts(context: Context, deletion: str | None, limit: int) -> list[tuple[Receipt, bool]]:
    async with _opened(context) as spread:
        ledger = spread.deletions
        found = [await ledger.find(deletion)] if deletion else await ledger.latest(limit)
        return [(one, ledger.is_sealed(one)) for one in found]
