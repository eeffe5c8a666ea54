"""Where commands take demand from: a file, or what a server has recorded."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from atomic_guide import errors
from atomic_guide.cli.options import quiet_logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.config import Settings
    from atomic_guide.operations.scaling.simulate import Terms
    from atomic_guide.operations.scaling.trace import Trace

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Demand(NamedTuple):
    """Demand, and the terms that hold for the fleet whose it is; of a file those that are usual."""

    trace: Trace
    usual: Terms


class Duration(click.ParamType[float]):
    """A time such as 90s, 5m, 168h or 7d, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of the text."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is no duration; write 90s, 5m, 168h or 7d", param, ctx)
        return float(match[1]) * SECONDS[match[2]]


DURATION = Duration()


def demand_options(since: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --trace, and --fleet with where its record is, read back to `since`; pass a `Demand` first."""

    def adding(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--trace", "file", type=FILE, help="CSV file with the header timestamp,value.")
        @click.option(
            "--fleet", type=click.Choice(["web", "workers"]), help="In place of it, a fleet's recorded demand."
        )
        @click.option("--since", type=DURATION, default=since, show_default=True, help="How far back that is read.")
        @click.option("--data", metavar="DIR", help="Data directory of the record (ATOMIC_GUIDE_DATA; default ./var).")
        @click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings file in TOML.")
        @functools.wraps(function)
        def wrapped(*, file: Path | None, fleet: str | None, **arguments: Any) -> Any:
            quiet_logs()
            where = {name: arguments.pop(name) for name in ("since", "data", "config")}
            if (file is None) == (fleet is None):
                raise click.UsageError("Give demand: either --trace FILE or --fleet NAME.")
            demand = _of_file(file) if file is not None else _of_fleet(str(fleet), **where)
            return function(demand, **arguments)

        return wrapped

    return adding


def read_file(file: Path) -> Trace:
    """The trace of a CSV file. Raises `Invalid` naming the line."""
    from atomic_guide.operations.scaling.reading import read_trace

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read_trace(lines, file.name)
    except UnicodeDecodeError as error:
        raise errors.Invalid(f"{file.name} is no text in UTF-8") from error


def _of_file(file: Path) -> Demand:
    from atomic_guide.operations.scaling.simulate import Terms

    return Demand(read_file(file), Terms())


def _of_fleet(fleet: str, since: float, data: str | None, config: Path | None) -> Demand:
    from atomic_guide.config import load_settings

    return asyncio.run(_recorded(load_settings(file=config, data=data), fleet, since))


async def _recorded(settings: Settings, fleet: str, since: float) -> Demand:
    from atomic_guide.app.units import fleet_units
    from atomic_guide.cli.options import check_installed
    from atomic_guide.engines.data.opening import open_databases
    from atomic_guide.operations.scaling.recorded import recorded_demand
    from atomic_guide.operations.scaling.series import Series
    from atomic_guide.operations.scaling.usual import usual_terms

    check_installed(settings)
    shards = await open_databases(Path(settings.data), settings.databases)
    try:
        now = time.time()
        trace = await recorded_demand(Series(shards.directory), fleet, now - since, now)
        usual = await usual_terms(shards.directory, settings.scaling, fleet_units(settings))
        return Demand(trace, usual[fleet])
    finally:
        await shards.close()
