"""`atomic-guide scale metrics`: what was measured."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atomic_guide import errors
from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.scale.demand import DURATION

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.showing import Measured

_MOST_LINES = 12
"""Series in one picture; more could not be told apart."""


@click.command(name="metrics")
@data_options
@click.option("--since", type=DURATION, default="1h", show_default=True, help="How far back.")
@click.option("--component", default="", help="Only of this component, such as web or queues.")
@click.option("--metric", default="", help="Only this metric, such as demand or latency.")
@click.option("--part", default="", help="Only of this part: a queue, a shard, a feature.")
@click.option("--resolution", type=DURATION, help="Seconds of one value, such as 15s or 1h; by the time, if not given.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one series as timestamp,value, which simulate can replay.")
@click.option("--picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write an SVG picture.")
def metrics(context: Context, *, as_csv: bool, picture: Path | None, resolution: float | None, **wanted: Any) -> None:
    """Show what was measured: the last value, the mean and the most of each series, and all values with --json.

    What was not measured is null, which is not zero; of durations a value is the mean of its time, and p50 and p95 are
    of the whole time. The page docs/metrics.md says what each metric is. A server records as long as it runs.
    """
    from atomic_guide.operations.scaling.series import Series
    from atomic_guide.operations.scaling.showing import Asked, measured

    now = time.time()
    asked = Asked(now - wanted.pop("since"), now, resolution=int(resolution) if resolution else None, **wanted)

    async def read() -> list[Measured]:
        async with context.open_shards() as shards:
            return await measured(Series(shards.directory), asked)

    found = asyncio.run(read())
    if not found:
        raise errors.NotFound("nothing of that kind was measured; a server on this data directory records it")
    if picture is not None:
        _draw(picture, found)
    if as_csv:
        click.echo(_csv(found), nl=False)
        return
    context.emit({"series": [one.shown() for one in found]}, _table(found))


def _table(rows: list[Measured]) -> str:
    import numpy as np

    lines = [f"{'series':44} {'last':>12} {'mean':>12} {'most':>12} {'p95':>12}"]
    for one in rows:
        readings = one.readings
        known = readings.values[~np.isnan(readings.values)]
        figures = (known[-1], known.mean(), np.nanmax(readings.most)) if len(known) else (None, None, None)
        shown = [*figures, one.durations.quantile(0.95)]
        lines.append(f"{one.name:44} " + " ".join(f"{_figure(value):>12}" for value in shown))
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


def _csv(rows: list[Measured]) -> str:
    from atomic_guide.operations.scaling.showing import known, stamp

    if len(rows) != 1:
        names = ", ".join(one.name for one in rows[:5])
        raise errors.Invalid(f"--csv is for one series; choose one with --component, --metric and --part of: {names}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("timestamp", "value"))
    times, values = (part.tolist() for part in rows[0].readings[:2])
    writer.writerows(
        (stamp(at), "" if (found := known(value)) is None else found) for at, value in zip(times, values, strict=True)
    )
    return text.getvalue()


def _draw(file: Path, rows: list[Measured]) -> None:
    from atomic_guide.operations.scaling.chart import chart

    if len(rows) > _MOST_LINES:
        raise errors.Invalid(f"a picture shows at most {_MOST_LINES} series, these are {len(rows)}; choose a metric")
    lines = {one.name: one.readings.values for one in rows}
    first = rows[0].readings
    file.write_text(chart(lines, float(first.times[0]), float(first.step)), encoding="utf-8")
