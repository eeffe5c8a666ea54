"""`atomic-guide scale simulate|forecast`: policies and forecasts on recorded demand; no server is needed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide import errors
from atomic_guide.cli.options import Progress
from atomic_guide.cli.scale.demand import DURATION, FILE, SECONDS, Demand, demand_options, read_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.operations.scaling.forecast import Backtest
    from atomic_guide.operations.scaling.simulate import Run, Terms
    from atomic_guide.operations.scaling.trace import Series, Trace


@click.command(name="simulate")
@demand_options("14d")
@click.option("--policy", "names", metavar="NAME", multiple=True, help="What to replay; may be repeated. All, if none.")
@click.option("--history", type=FILE, help="CSV file of demand before the trace, from which policies may learn.")
@click.option("--unit-capacity", type=click.FloatRange(min=0, min_open=True),
              help="What one replica does of it in a second; 100, or of a fleet what the decider takes.")  # fmt: skip
@click.option("--start-delay", type=DURATION, help="From a start to ready; 90s, or that of the fleet.")
@click.option("--tick", type=DURATION, default="15s", show_default=True, help="How often is decided.")
@click.option("--min", "least", type=click.IntRange(0, 1_000_000), help="Fewest replicas; 2, or those of the fleet.")
@click.option("--max", "most", type=click.IntRange(1, 1_000_000), help="Most replicas; 200, or those of the fleet.")
@click.option("--timeline", is_flag=True, help="Give each tick in the JSON: demand, ready, desired, reason.")
@click.option("--picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write an SVG picture.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def simulate(given: Demand, *, names: tuple[str, ...], history: Path | None, picture: Path | None,
             timeline: bool, as_json: bool, **terms: Any) -> None:  # fmt: skip
    """Replay recorded demand under scaling policies and compare what they cost and where they were too small.

    A value of the trace is demand in units of work per second and holds until the next. A minute is violated when
    demand exceeds ready capacity in any of its ticks; the cost ratio is paid unit-time over the least that covers the
    demand; a flap is a change of direction within ten minutes. No policy sees more than what came before.
    """
    from atomic_guide.operations.scaling.comparing import Before, chosen, compare
    from atomic_guide.operations.scaling.picture import draw

    trace, assumed = given.trace, _terms(given.usual, **terms)
    demand = trace.ticks(assumed.tick)
    before = Before(*_before(history, trace, assumed)) if history is not None else None
    runs: dict[str, Run] = {}
    rows = []
    progress = Progress()
    for one in compare(chosen(names), trace.start, demand, assumed, before):
        runs[one.name] = one.run
        row: dict[str, Any] = {"name": one.name, **one.score._asdict()}
        if timeline:
            row["timeline"] = _timeline(trace, demand, one.run, assumed)
        rows.append(row)
        progress(f"{one.name} is replayed")
    if picture is not None:
        picture.write_text(draw(demand, assumed, {name: run.ready for name, run in runs.items()}, trace.start))
    _print({"policies": rows}, _table(rows), as_json=as_json)


@click.command(name="forecast")
@demand_options("60d")
@click.option("--horizon", type=DURATION, default="168h", show_default=True, help="How far ahead.")
@click.option("--time-zone", help="IANA name, such as Europe/Berlin, whose clock people live by; UTC if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def forecast(given: Demand, *, horizon: float, time_zone: str | None, as_json: bool) -> None:
    """Forecast demand hour by hour from recorded demand, with a back-test of how well that would have gone.

    The first hour is the one after the trace's end. `p95` is passed in one hour of twenty. The back-test forecasts from
    origins a week apart with nothing that came after them: `mase` is the error over that of the same hour a week
    before, `pinball_95` the loss of the upper quantile in percent of the mean, `coverage_95` how often it was kept.
    """
    from zoneinfo import ZoneInfo

    from atomic_guide.operations.scaling import forecast as model

    hours = int(horizon // model.HOUR)
    if not 1 <= hours <= 10 * model.WEEK:
        raise errors.Invalid(f"a horizon is 1h to {10 * model.WEEK}h, not {horizon / model.HOUR:g}h")
    try:
        zone = ZoneInfo(time_zone) if time_zone else None
    except (KeyError, OSError, ValueError) as error:
        raise errors.Invalid(f"there is no time zone {time_zone}; write an IANA name such as Europe/Berlin") from error
    trace = model.hourly(given.trace)
    began = time.perf_counter()
    found = model.forecast(trace, hours, zone)
    fit_ms = (time.perf_counter() - began) * 1000
    tested = model.backtest(trace, zone=zone)
    rows = [
        {"timestamp": _stamp(found.start + number * model.HOUR), "p50": round(p50, 6), "p95": round(p95, 6)}
        for number, (p50, p95) in enumerate(zip(found.p50.tolist(), found.p95.tolist(), strict=True))
    ]
    value = {"rows": rows, "backtest": tested._asdict(), "fit_ms": round(fit_ms, 3)}
    lines = [f"{row['timestamp']}  {row['p50']:>14,.2f}  {row['p95']:>14,.2f}" for row in rows]
    lines = [f"{'hour':20}  {'expected':>14}  {'1 in 20 over':>14}", *lines, _tested(tested)]
    _print(value, "\n".join(lines), as_json=as_json)


def _tested(found: Backtest) -> str:
    """A back-test in words."""
    if found.coverage_95 is None or found.pinball_95 is None:
        return "back-test: none, as there is too little demand before"
    error = "" if found.mase is None else f"an error of {found.mase:.3g} times that of the same hour a week before; "
    return (
        f"back-test of {found.origins} weeks: {error}{found.coverage_95:.0%} of hours under the upper figure (95% are"
        f" meant), whose loss is {found.pinball_95:.3g}% of the mean"
    )


def _terms(
    usual: Terms,
    unit_capacity: float | None,
    start_delay: float | None,
    tick: float,
    least: int | None,
    most: int | None,
) -> Terms:
    from atomic_guide.operations.scaling.simulator.asked import replay_terms

    if not 1 <= tick <= SECONDS["h"]:
        raise errors.Invalid(f"--tick is 1s to 1h, not {tick:g}s")
    if start_delay is not None and start_delay > SECONDS["d"]:
        raise errors.Invalid(f"--start-delay is at most 1d, not {start_delay:g}s")
    if least is not None and most is not None and least > most:
        raise errors.Invalid(f"--min {least} is over --max {most}")
    return replay_terms(usual, unit_capacity, start_delay, tick, (least, most))


def _before(file: Path, trace: Trace, terms: Terms) -> tuple[float, Series]:
    earlier = read_file(file)
    if earlier.end > trace.start + earlier.step:
        raise errors.Invalid(
            f"{file.name} ends at {_stamp(earlier.end)}, after the trace begins: policies would see ahead"
        )
    return earlier.start, earlier.ticks(terms.tick)


def _timeline(trace: Trace, demand: Series, run: Run, terms: Terms) -> list[dict[str, Any]]:
    rows = []
    reason = "what the first tick needs"
    for tick, (value, ready, desired) in enumerate(
        zip(demand.tolist(), run.ready.tolist(), run.desired.tolist(), strict=True)
    ):
        reason = run.reasons.get(tick, "as before" if tick else reason)
        known = value if value == value else None  # noqa: PLR0124 - NaN differs from itself
        moment = _stamp(trace.start + tick * terms.tick)
        rows.append({"timestamp": moment, "demand": known, "ready": ready, "desired": desired, "reason": reason})
    return rows


_COLUMNS = {
    "violation_minutes": "min over",
    "violation_minutes_per_day": "a day",
    "cost_ratio": "cost x",
    "events_per_day": "changes a day",
    "flaps_per_day": "flaps a day",
    "peak": "most units",
}
"""What figures are called for people; in JSON they have their names."""

_LEGEND = "min over: minutes in which demand was over what was ready; cost x: times the least that covers the demand"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    widths = {field: max(len(title), 10) for field, title in _COLUMNS.items()}
    lines = ["  ".join([f"{'policy':18}", *(title.rjust(widths[field]) for field, title in _COLUMNS.items())])]
    lines += ["  ".join([f"{row['name']:18}", *_cells(row, widths)]) for row in rows]
    return "\n".join([*lines, _LEGEND])


def _cells(row: dict[str, Any], widths: dict[str, int]) -> list[str]:
    return [_number(row[field]).rjust(width) for field, width in widths.items()]


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _print(value: Any, text: str, *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(value).decode() if as_json else text)
