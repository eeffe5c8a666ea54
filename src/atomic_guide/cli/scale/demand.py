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
    from atomic_guide.operations.scaling.trace import Trace

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_UNIT = 100.0
"""Units of work a second of one replica, where the demand is a file's."""


class Demand(NamedTuple):
    """Demand, and the units of it that one replica does in a second."""

    trace: Trace
    unit: float


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
            demand = Demand(read_file(file), _UNIT) if file is not None else _of_fleet(str(fleet), **where)
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


def _of_fleet(fleet: str, since: float, data: str | None, config: Path | None) -> Demand:
    from atomic_guide.config import load_settings

    settings = load_settings(file=config, data=data)
    # A core of a web process; the slots of a worker.
    unit = 1.0 if fleet == "web" else float(settings.queues.slots)
    return Demand(asyncio.run(_recorded(settings, fleet, since)), unit)


async def _recorded(settings: Settings, fleet: str, since: float) -> Trace:
    from atomic_guide.cli.options import check_installed
    from atomic_guide.engines.data.opening import open_databases
    from atomic_guide.operations.scaling.recorded import recorded_demand
    from atomic_guide.operations.scaling.series import Series

    check_installed(settings)
    shards = await open_databases(Path(settings.data), settings.databases)
    try:
        now = time.time()
        return await recorded_demand(Series(shards.directory), fleet, now - since, now)
    finally:
        await shards.close()
