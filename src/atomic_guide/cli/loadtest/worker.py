"""`atomic-guide loadtest worker`: send together with testers on other machines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from atomic_guide.cli.loadtest.run import host_and_port, on_signals
from atomic_guide.cli.options import Context, data_options

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(name="worker")
@data_options
@click.option("--master", metavar="HOST:PORT", required=True, help="Where `loadtest run --bind` listens.")
@click.option("--secret-file", metavar="FILE", type=_FILE, required=True, help="The secret that the leader has.")
def worker(context: Context, *, master: str, secret_file: Path) -> None:
    """Send what a leader on another machine says; ends with its test.

    What is sent, to whom and as whom comes from the leader, sealed with the secret; the target's operator token stays
    there.
    """
    from atomic_guide.operations.loadtest.running import follow, read_secret

    host, port = host_and_port("--master", master)
    secret = read_secret(secret_file)

    def listen(kind: str, value: Any) -> None:
        if kind == "joined":
            click.echo(f"tester {value['part'] + 1} of {value['of']}", err=True)

    async def work() -> None:
        stop = asyncio.Event()
        on_signals(stop)
        await follow(host, port, secret, listen, stop)

    asyncio.run(work())
    context.emit({"master": master, "ended": True}, "the test is over; its report is with the leader")
