"""`atomic-guide loadtest run|plan`: carry a load test out, or say what it would send."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.loadtest.declared import declared_options, make_plan, target_of, token_of
from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.conduct import Asked
    from atomic_guide.operations.loadtest.report import Report
    from atomic_guide.operations.loadtest.running import Testers
    from atomic_guide.operations.loadtest.spec import Spec

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_WORKERS = 64

TARGET = click.option("--target", metavar="URL", help="What is loaded (default: the server on this data directory).")
TOKEN = click.option("--token-file", metavar="FILE", type=_FILE,
                     help="The target's operator token (default, for its server: the data directory's).")  # fmt: skip


@click.command(name="run")
@data_options
@TARGET
@TOKEN
@declared_options
@click.option("--workers", type=click.IntRange(0, _WORKERS), default=0, show_default=True,
              help="Testers on this machine that send together; 0: one, without a leader.")  # fmt: skip
@click.option("--expect-workers", type=click.IntRange(0, 1000), default=0, show_default=True,
              help="Testers on other machines, each started by `loadtest worker`.")  # fmt: skip
@click.option("--bind", metavar="HOST:PORT", default="127.0.0.1:5557", show_default=True,
              help="Where those find the leader.")  # fmt: skip
@click.option("--secret-file", metavar="FILE", type=_FILE, help="What they and the leader know: 16 characters or more.")
@click.option("--clean", is_flag=True, help="Erase what the test leaves at the target when it is over.")
@click.option("--progress", type=click.Choice(["text", "json", "none"]), default="text", show_default=True,
              help="What is told on stderr each second.")  # fmt: skip
def run(context: Context, *, target: str | None, token_file: Path | None, spec: Spec, **options: Any) -> None:
    """Load a test target and judge how it does.

    Arrivals come at the declared rate whatever becomes of those before, and latencies count from when each was due.
    Ctrl-C ends it with the report of what was. Exit code: 0 the objectives were met, 1 they were missed, 2 wrong usage,
    3 the test is invalid, as where the tester itself was the limit.
    """
    from atomic_guide.operations.loadtest import spec as specs
    from atomic_guide.operations.loadtest.conduct import Asked
    from atomic_guide.operations.loadtest.store import PAGE, Store
    from atomic_guide.operations.loadtest.wording import short

    address = target_of(context, target)
    testers = _testers(options)
    plan = make_plan(context, spec, address, max(1, testers.local + testers.remote))
    store = Store(context.data)
    asked = Asked(plan, specs.objectives(spec), testers, store, context.settings.loadtest.kept)
    report = asyncio.run(_run(asked, token_of(context, token_file, address), options))
    page = store.find(report.id).folder / PAGE
    context.emit(report, f"{short(report)}\nreport: {page}")
    sys.exit(report.verdict.exit_code)


@click.command(name="plan")
@data_options
@TARGET
@declared_options
@click.option("--first", type=click.IntRange(0, 10_000), default=0, help="Show when the first so many are due.")
def plan(context: Context, *, target: str | None, spec: Spec, first: int) -> None:
    """Say what a load test would send; nothing is sent."""
    import itertools
    import random

    from atomic_guide.operations.loadtest import plan as plans
    from atomic_guide.operations.loadtest import spec as specs
    from atomic_guide.operations.loadtest.arrivals import moments

    made = make_plan(context, spec, target_of(context, target, otherwise="http://target.invalid"))
    chance = random.Random(f"{made.seed}/arrivals/0")
    gap = (lambda: chance.expovariate(1.0)) if made.pattern == "poisson" else (lambda: 1.0)
    due = [round(at, 6) for at, _ in itertools.islice(moments(made.profile, gap), first)]
    warned = plans.warnings(made)
    objectives = [one.text for one in specs.objectives(spec)]
    lines = [*plans.described(made), f"objectives  {', '.join(objectives)}", *(f"warning: {one}" for one in warned)]
    lines += [f"  due at {at:.6f} s" for at in due]
    context.emit(
        {"plan": msgspec.to_builtins(made), "expected": made.profile.expected, "objectives": objectives,
         "warnings": warned, "due": due},
        "\n".join(lines),
    )  # fmt: skip


def _testers(options: dict[str, Any]) -> Testers:
    from atomic_guide.operations.loadtest.running import Testers, read_secret

    host, port = host_and_port("--bind", options["bind"])
    remote = options["expect_workers"]
    if remote and options["secret_file"] is None:
        raise click.UsageError("testers on other machines need --secret-file, the same on each")
    secret = read_secret(options["secret_file"]) if options["secret_file"] else ""
    # For testers of this machine alone any free port serves.
    return Testers(local=options["workers"], remote=remote, host=host, port=port if remote else 0, secret=secret)


def host_and_port(option: str, text: str) -> tuple[str, int]:
    """The parts of an address such as 10.0.0.5:5557. Raises `UsageError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:  # noqa: PLR2004 - ports
        raise click.UsageError(f"{option} {text!r} is no address such as 10.0.0.5:5557")
    return host.strip("[]"), int(port)


async def _run(asked: Asked, token: str, options: dict[str, Any]) -> Report:
    from atomic_guide.operations.loadtest.conduct import cleaned, conduct
    from atomic_guide.operations.loadtest.target import Target

    stop = asyncio.Event()
    on_signals(stop)

    def say(text: str) -> None:
        if options["progress"] != "none":
            click.echo(text, err=True)

    async with Target(asked.plan.target, token) as target:
        report = await conduct(asked, target, say, stop, as_json=options["progress"] == "json")
        if options["clean"]:
            erased = await cleaned(asked.store.find(report.id), target)
            click.echo(f"erased {sum(erased.values())} rows at the target", err=True)
    return report


def on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at Ctrl-C and SIGTERM; a second Ctrl-C ends at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
