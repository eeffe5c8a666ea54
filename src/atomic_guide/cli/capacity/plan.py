"""`atomic-guide capacity plan`: what runs out first, and what to do by when."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.scale.demand import FILE, read_file

if TYPE_CHECKING:
    from atomic_guide.operations.capacity.planner import Asked, Plan

_UNIT = 100.0
"""As `scale simulate` has it: units of work a second of one replica, where the demand is a file's."""


@click.command(name="plan")
@data_options
@click.option(
    "--growth",
    default="2x/year",
    show_default=True,
    help="2x/year, +10%/month, +500 users/month, 1.5x..3x/year, users=2x/year,lectures=+5%/month; measured: as shown.",
)
@click.option("--horizon", default="12m", show_default=True, help="How many months (12m) or years (2y) ahead.")
@click.option("--points", type=FILE, help="A load test's report, or CSV concurrency,throughput; the newest stored one.")
@click.option("--picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write an SVG picture.")
@click.option("--trace", type=FILE, help="Plan from a CSV file of demand, timestamp,value, instead of a record.")
@click.option("--unit-capacity", type=click.FloatRange(min=0, min_open=True), help="What one replica does of it; 100.")
@click.option(
    "--units", type=click.IntRange(1, 1_000_000), help="Replicas that there are; 1, or what the demand takes."
)
@click.option("--unit-price", type=click.FloatRange(min=0), help="What one costs in an hour.")
def plan(  # noqa: PLR0913 - the options of a command
    context: Context, *, growth: str, horizon: str, points: Path | None, picture: Path | None, trace: Path | None,
    unit_capacity: float | None, units: int | None, unit_price: float | None,
) -> None:  # fmt: skip
    """Plan capacity: need by month, what runs out first and when, what to do by when, and what that costs.

    Everything is a 90% interval. Nothing is said beyond 2.5 times the highest load that was measured or load-tested,
    nor further ahead than 13 times as long as was measured; what is missing is named. docs/capacity.md says how.
    """
    from atomic_guide.operations.capacity.planner import Asked, grown, read_horizon
    from atomic_guide.operations.capacity.telling import told

    asked = Asked(growth.strip(), read_horizon(horizon, context.settings.capacity.most_months), time.time())
    # Before anything is read, which takes seconds.
    grown(asked, context.settings.capacity)
    if trace is None:
        if any(value is not None for value in (unit_capacity, units, unit_price)):
            raise click.UsageError("--unit-capacity, --units and --unit-price go with --trace.")
        found = asyncio.run(_recorded(context, asked, points))
    elif points is not None:
        raise click.UsageError("--points go with a record, not with --trace.")
    else:
        found = _traced(context, trace, asked, (unit_capacity or _UNIT, units, unit_price or 0.0))
    if picture is not None:
        from atomic_guide.operations.capacity.picture import draw

        picture.write_text(draw(found), encoding="utf-8")
    context.emit(msgspec.to_builtins(found), told(found))


async def _recorded(context: Context, asked: Asked, points: Path | None) -> Plan:
    from atomic_guide.app.capacity import made_capacity
    from atomic_guide.operations.capacity.points import read_points

    taken = read_points(points) if points is not None else None
    async with context.open_shards() as shards:
        return await made_capacity(context.settings, shards).plan(asked, taken)


def _traced(context: Context, file: Path, asked: Asked, unit: tuple[float, int | None, float]) -> Plan:
    import numpy as np

    from atomic_guide.operations.capacity.capacity import Unit, plan_of_trace

    trace = read_file(file)
    size, units, price = unit
    if units is None:
        units = max(1, int(np.ceil(np.nanmax(trace.values) / size))) if not np.isnan(trace.values).all() else 1
    return plan_of_trace(trace, Unit(size, units, units, price), asked, context.settings.capacity)
