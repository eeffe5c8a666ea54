"""`atomic-guide scale metrics`: what was measured."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from atomic_guide import errors
from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.scale.demand import DURATION

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.model import Key
    from atomic_guide.operations.scaling.series import Readings

_MOST_POINTS = 100_000
"""Of one answer: 10 MB of JSON."""

_MOST_LINES = 12
"""Series in one picture; more could not be told apart."""


class _Wanted(NamedTuple):
    since: float
    component: str
    metric: str
    part: str
    resolution: int | None


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
    asked = _Wanted(resolution=int(resolution) if resolution else None, **wanted)
    found = asyncio.run(_read(context, asked))
    if not found:
        raise errors.NotFound("nothing of that kind was measured; a server on this data directory records it")
    if picture is not None:
        _draw(picture, found)
    if as_csv:
        click.echo(_csv(found), nl=False)
        return
    context.emit({"series": [row.told() for row in found]}, _table(found))


class _Row(NamedTuple):
    key: Key
    readings: Readings
    quantiles: dict[str, float | None] | None

    def told(self) -> dict[str, Any]:
        """The row as JSON."""
        points = [
            {"timestamp": _stamp(at), "value": _known(value), "most": _known(most)}
            for at, value, most in zip(*(part.tolist() for part in self.readings[:3]), strict=True)
        ]
        return {**self.key._asdict(), "resolution": self.readings.step, **(self.quantiles or {}), "points": points}


async def _read(context: Context, wanted: _Wanted) -> list[_Row]:
    from atomic_guide.app.sources.declared import DECLARED
    from atomic_guide.operations.scaling.series import Series

    now = time.time()
    since = now - wanted.since
    durations = {(metric.component, metric.name) for metric in DECLARED if metric.kind == "durations"}
    async with context.open_shards() as shards:
        series = Series(shards.directory)
        keys = [
            key
            for key in await series.keys()
            if wanted.component in {"", key.component}
            and wanted.metric in {"", key.metric}
            and wanted.part in {"", key.part}
        ]
        rows: list[_Row] = []
        points = 0
        for key in keys:
            readings = await series.read(key, since, now, wanted.resolution)
            points += len(readings.values)
            if points > _MOST_POINTS:
                raise errors.Invalid("that is too much at once; choose a component, a metric or a --resolution")
            quantiles = None
            if (key.component, key.metric) in durations:
                spread = await series.histogram(key, since, now)
                quantiles = {"p50": spread.quantile(0.5), "p95": spread.quantile(0.95)}
            rows.append(_Row(key, readings, quantiles))
        return rows


def _table(rows: list[_Row]) -> str:
    import numpy as np

    lines = [f"{'series':44} {'last':>12} {'mean':>12} {'most':>12} {'p95':>12}"]
    for key, readings, quantiles in rows:
        known = readings.values[~np.isnan(readings.values)]
        figures = (known[-1], known.mean(), np.nanmax(readings.most)) if len(known) else (None, None, None)
        shown = [*figures, (quantiles or {}).get("p95")]
        name = " ".join(part for part in key if part)
        lines.append(f"{name:44} " + " ".join(f"{_figure(value):>12}" for value in shown))
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


def _csv(rows: list[_Row]) -> str:
    if len(rows) != 1:
        names = ", ".join(" ".join(part for part in row.key if part) for row in rows[:5])
        raise errors.Invalid(f"--csv is for one series; choose one with --component, --metric and --part of: {names}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("timestamp", "value"))
    times, values = (part.tolist() for part in rows[0].readings[:2])
    writer.writerows(
        (_stamp(at), "" if (known := _known(value)) is None else known) for at, value in zip(times, values, strict=True)
    )
    return text.getvalue()


def _draw(file: Path, rows: list[_Row]) -> None:
    from atomic_guide.operations.scaling.chart import chart

    if len(rows) > _MOST_LINES:
        raise errors.Invalid(f"a picture shows at most {_MOST_LINES} series, these are {len(rows)}; choose a metric")
    lines = {" ".join(part for part in row.key if part): row.readings.values for row in rows}
    first = rows[0].readings
    file.write_text(chart(lines, float(first.times[0]), float(first.step)), encoding="utf-8")


def _known(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN differs from itself


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
