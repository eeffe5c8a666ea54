"""`atomic-guide loadtest list|show|report|stop|clean`: what came of load tests."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.loadtest.declared import token_of
from atomic_guide.cli.loadtest.run import TOKEN
from atomic_guide.cli.options import Context, actor, data_options
from atomic_guide.errors import Invalid, NotFound

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.report import Report
    from atomic_guide.operations.loadtest.store import Brief

_TEST = click.argument("identifier", metavar="ID")


@click.command(name="list")
@data_options
def list_tests(context: Context) -> None:
    """List the load tests of this data directory, the newest first, and the one that runs."""
    from atomic_guide.operations.loadtest.store import Brief, Store

    store = Store(context.data)
    rows, lines = [], []
    for name in store.ids():
        place = store.find(name)
        state, found = place.state(time.time()), place.brief() or Brief()
        verdict = (found.verdict or {}).get("result")
        target = found.target or (state or place.noted or {}).get("target")
        row = {"id": name, "running": state is not None, "target": target, "started_at": found.started_at,
               "result": verdict}  # fmt: skip
        rows.append(row)
        lines.append(f"{name}  {'running' if state else verdict or 'no report':9}  {target or ''}{_rate(found)}")
    context.emit({"loadtests": rows}, "\n".join(lines) or "no load test was run; `atomic-guide loadtest run` runs one")


@click.command(name="show")
@data_options
@_TEST
def show(context: Context, identifier: str) -> None:
    """Show the report of a load test; ID may be `last`."""
    from atomic_guide.operations.loadtest.wording import short

    report = _report(context, identifier)
    context.emit(report, short(report))


@click.command(name="report")
@data_options
@_TEST
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE",
              help="Write the page there.")  # fmt: skip
def report(context: Context, identifier: str, out: Path | None) -> None:
    """Draw the page of a load test anew from its report, and say where it is; ID may be `last`."""
    from atomic_guide.operations.loadtest.page import draw_page
    from atomic_guide.operations.loadtest.store import PAGE, Store

    drawn = draw_page(_report(context, identifier)).encode()
    if out is None:
        path = Store(context.data).find(identifier).write(PAGE, drawn)
    else:
        path = out
        path.write_bytes(drawn)
    context.emit({"page": str(path)}, str(path))


@click.command(name="stop")
@data_options
@_TEST
def stop(context: Context, identifier: str) -> None:
    """End a test that runs, with the report of what was; ID may be `last`. As Ctrl-C does where it was started."""
    from atomic_guide.operations.loadtest.store import Store

    place = Store(context.data).find(identifier)
    place.ask_to_stop(actor(), time.time())
    context.emit({"stopping": place.id}, f"load test {place.id} ends, with a report of what was")


@click.command(name="clean")
@data_options
@_TEST
@TOKEN
def clean(context: Context, identifier: str, token_file: Path | None) -> None:
    """Erase what a load test left at its target: its tenant with everything in it. The report stays.

    Of a test that was killed, too.
    """
    from atomic_guide.operations.loadtest.conduct import cleaned, left
    from atomic_guide.operations.loadtest.store import Store
    from atomic_guide.operations.loadtest.target import Target

    place = Store(context.data).find(identifier)
    address = left(place).target
    token = token_of(context, token_file, address)

    async def work() -> dict[str, int]:
        async with Target(address, token) as target:
            return await cleaned(place, target)

    erased = asyncio.run(work())
    lines = [f"erased {sum(erased.values())} rows at {address}", *(f"  {name:16} {n:8}" for name, n in erased.items())]
    context.emit({"id": place.id, "target": address, "erased": erased}, "\n".join(lines))


def _report(context: Context, identifier: str) -> Report:
    from atomic_guide.operations.loadtest.report import Report
    from atomic_guide.operations.loadtest.store import REPORT, Store

    place = Store(context.data).find(identifier)
    found = place.read(REPORT)
    if found is None:
        raise NotFound(f"load test {place.id} has no report: it runs, or was killed")
    try:
        return msgspec.convert(found, Report)
    except msgspec.ValidationError as error:
        raise Invalid(f"the report of load test {place.id} is none of this version: {error}") from error


def _rate(found: Brief) -> str:
    steady = found.steady.all
    return "" if steady.p95 is None else f"  {steady.throughput:.1f}/s, p95 {steady.p95 * 1000:.0f} ms"
