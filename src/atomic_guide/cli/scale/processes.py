"""`atomic-guide scale processes`: how many processes run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide import errors
from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.app.processes import Change, Running, Wanted

_LOOK_SECONDS = 0.2
_SCALED_SECONDS = 45.0
"""A start takes two seconds; a drain, at most thirty."""


@click.command(name="processes")
@data_options
@click.option("--web", type=click.IntRange(1, 64), help="Processes that answer requests and hold rooms.")
@click.option("--worker", type=click.IntRange(0, 64), help="Processes that only run jobs, beside the first one.")
@click.option("--dry-run", is_flag=True, help="Say what would be started and drained, and do nothing.")
def processes(context: Context, *, web: int | None, worker: int | None, dry_run: bool) -> None:
    """List the processes of the running server, or change how many there are.

    A room is spread over all web processes, each of which takes 1,000 of its members (rooms.room_sockets). More are
    started within seconds; fewer drain first: members get a resumable goodbye and come back elsewhere, jobs are
    finished or handed back. It lasts until the server ends; the settings processes.web and processes.worker are
    what it starts with.
    """
    from atomic_guide.app.processes import ask, changes, kept, look
    from atomic_guide.app.supervisor import holder

    if holder(context.data) is None:
        raise errors.Unavailable(f"no server runs on {context.data}; set processes.web for its next start")
    running = look(context.data)
    wanted = msgspec.structs.replace(
        running.wanted,
        web=running.wanted.web if web is None else web,
        worker=running.wanted.worker if worker is None else worker,
    )
    planned = changes(kept(running), wanted)
    if planned and not dry_run:
        ask(context.data, wanted)
        running = asyncio.run(_scaled(context, wanted))
    _emit(context, running, planned, dry_run=dry_run)


def _emit(context: Context, running: Running, planned: list[Change], *, dry_run: bool) -> None:
    done = "would " if dry_run else ""
    ending = "" if dry_run else "ed"
    lines = [f"{done}{change.action}{ending} {change.name}" for change in planned]
    lines += [f"{one.name:12} {one.state:10} {one.pid or '-'}" for one in running.processes]
    value: dict[str, Any] = {
        "wanted": msgspec.to_builtins(running.wanted),
        "processes": msgspec.to_builtins(running.processes),
        "changes": [{"action": change.action, "name": change.name} for change in planned],
        "dry_run": dry_run,
    }
    context.emit(value, "\n".join(lines))


async def _scaled(context: Context, wanted: Wanted) -> Running:
    """Wait until what is wanted runs. Raises `Unavailable` where it does not in time."""
    from atomic_guide.app.processes import look

    progress = Progress()
    names = {f"{role}-{number}" for role, number in wanted.children()} | {"web-0"}
    try:
        async with asyncio.timeout(_SCALED_SECONDS):
            while True:
                running = look(context.data)
                states = {process.name: process.state for process in running.processes}
                if running.wanted == wanted and states == dict.fromkeys(names, "running"):
                    return running
                progress(", ".join(f"{name} {state}" for name, state in states.items() if state != "running"))
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise errors.Unavailable(
            f"the server has not done it within {_SCALED_SECONDS:.0f} s; see its log, and look again with"
            " `atomic-guide scale processes`"
        ) from error
