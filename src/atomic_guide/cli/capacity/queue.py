"""`atomic-guide capacity queue`: how long a queue waits, and how many servers it needs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from atomic_guide import errors
from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.scale.demand import DURATION


@click.command(name="queue")
@data_options
@click.option("--rate", type=click.FloatRange(min=0), help="Arrivals a second.")
@click.option("--service", type=click.FloatRange(min=0, min_open=True), help="Mean seconds of one.")
@click.option("--name", help="In place of both, a queue of the record: its runs of the last week.")
@click.option(
    "--servers", type=click.IntRange(1, 100_000), help="How many there are; the fewest that do, if not given."
)
@click.option("--wait", type=DURATION, default="60s", show_default=True, help="How long one may wait, such as 1s.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
              help="The share that waits no longer.")  # fmt: skip
@click.option("--variation", type=click.FloatRange(0, 1000), help="Standard deviation of services by their mean; 1.")
def queue(  # noqa: PLR0913 - the options of a command
    context: Context, *, rate: float | None, service: float | None, name: str | None, servers: int | None,
    wait: float, share: float, variation: float | None,
) -> None:  # fmt: skip
    """Ask how long arrivals wait for one of several servers (Erlang C), and how many servers it takes.

    Services that vary otherwise than exponentially are corrected for as Allen and Cunneen do.
    """
    from atomic_guide.operations.capacity import erlang

    if (name is None) == (rate is None or service is None):
        raise click.UsageError("Give --rate and --service, or --name of a queue.")
    if name is not None:
        if rate is not None or service is not None or variation is not None:
            raise click.UsageError("--name takes rate, service and variation from the record.")
        load = asyncio.run(_recorded(context, name))
    else:
        squared = (variation if variation is not None else 1.0) ** 2
        load = erlang.Load(rate or 0.0, service or 1.0, services_varying=squared)
    needed = erlang.servers_needed(load, wait, share)
    found = erlang.wait(servers or needed, load)
    answer: dict[str, Any] = {
        "rate": load.rate, "service": load.service, "variation": load.services_varying**0.5, "erlangs": load.erlangs,
        "servers_needed": needed, "servers": found.servers, "utilisation": found.utilisation,
        "waiting": found.waiting, "within": 1 - found.over(wait), "mean_wait": found.mean,
        "wait_p50": found.quantile(0.5), "wait_p95": found.quantile(0.95), "wait_p99": found.quantile(0.99),
    }  # fmt: skip
    waits = {"mean": found.mean, "p50": found.quantile(0.5), "p95": found.quantile(0.95), "p99": found.quantile(0.99)}
    within = 1 - found.over(wait)
    lines = [
        f"{load.rate:g} a second of {load.service:.4g} s each: {load.erlangs:.4g} servers are busy in the mean",
        f"{needed} servers are the fewest with which {share * 100:g}% wait at most {wait:g} s",
        f"with {found.servers}: {found.utilisation:.0%} busy, {found.waiting:.1%} wait, {within:.2%} under {wait:g} s",
        f"waits: {', '.join(f'{label} {value:.3g} s' for label, value in waits.items())}",
    ]
    context.emit(answer, "\n".join(lines))


async def _recorded(context: Context, name: str) -> Any:
    from atomic_guide.operations.capacity.erlang import Load
    from atomic_guide.operations.capacity.gather import variation
    from atomic_guide.operations.scaling.model import QUEUES, Key
    from atomic_guide.operations.scaling.series import Series

    now = time.time()
    async with context.open_shards() as shards:
        series = Series(shards.directory)
        runs = await series.histogram(Key(QUEUES, "run", name), now - 7 * 86400.0, now)
        ended = await series.read(Key(QUEUES, "throughput", name), now - 7 * 86400.0, now, 900)
    known = ended.values[ended.values == ended.values]
    if not runs.mean or not len(known) or known.max() <= 0:
        raise errors.NotFound(f"no run of a job of a queue {name} is on record in the last week; see `queues list`")
    return Load(float(known.max()), runs.mean, services_varying=variation(runs.counts, runs.mean))
