"""`atomic-guide dead-letters`: jobs that failed for good."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, Progress, actor, data_options, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atomic_guide.engines.queues.actions import Act, Action
    from atomic_guide.engines.queues.deadletter import DeadLetters, Wanted
    from atomic_guide.engines.queues.dryrun import Plan
    from atomic_guide.engines.queues.edit import Change, Changes, Edit
    from atomic_guide.engines.queues.many import Done, Task
    from atomic_guide.operations.jobs.letters import Letters

T = TypeVar("T")


@click.group(name="dead-letters", cls=Leading, leads="list")
def command() -> None:
    """Look at jobs that failed for good; replay or drop them."""


def _wanted_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose letters, and pass what they choose as `wanted`."""

    @click.option("--queue", default="", help="Only of this queue.")
    @click.option("--kind", default="", help="Only of this kind, such as video.transcode.")
    @click.option("--tenant", default="", help="Only of this tenant.")
    @click.option("--course", default="", help="Only of this course; with --tenant also the LMS's context id.")
    @click.option("--reason", default="", metavar="TEXT", help="Only those whose reason holds this text.")
    @click.option("--since", metavar="TIME", help="Only what died since: an ISO 8601 time, or such as 2h, 3d ago.")
    @click.option("--until", metavar="TIME", help="Only what died before that.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, since: str | None, until: str | None, **options: Any) -> Any:
        from atomic_guide.engines.data.placement import CourseKey
        from atomic_guide.engines.queues.deadletter import Wanted

        chosen = {name: options.pop(name) for name in ("queue", "kind", "tenant", "course", "reason")}
        if chosen["course"] and chosen["tenant"] and not re.fullmatch(r"c[0-9a-f]{24}", chosen["course"]):
            chosen["course"] = CourseKey.of(chosen["tenant"], chosen["course"]).course
        bounds: dict[str, Any] = {
            name: moment(text) for name, text in (("since", since), ("until", until)) if text is not None
        }
        return function(*arguments, wanted=Wanted(**chosen, **bounds), **options)

    return wrapped


_edits = click.option(
    "--set",
    "edits",
    multiple=True,
    metavar="FIELD=JSON",
    help="Change a field of what the job carries; several times for several.",
)
_all = click.option("--all", "every", is_flag=True, help="Every letter that the other options choose.")
_rate = click.option("--rate", type=click.FloatRange(min=0), default=0.0, help="Most letters a second; 0 is no limit.")
_dry = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_run = click.option("--run", metavar="RUN", help="Go on with an interrupted run.")


@command.command(name="list")
@data_options
@_wanted_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most letters to list (default 100).")
def list_letters(context: Context, wanted: Wanted, limit: int) -> None:
    """List the dead letters, the newest first."""
    found, missing = _ask(context, lambda letters: letters.list(limit, wanted))
    lines = [f"{one.id}  {one.died_at}  {one.kind:18} {one.subject:20} {one.reason}" for one in found]
    text = "\n".join(lines) or "there are no dead letters" + ("" if wanted.everything else " of these")
    context.emit_found("dead_letters", msgspec.to_builtins(found), text, missing)


@command.command()
@click.argument("job")
@data_options
def show(context: Context, job: str) -> None:
    """Show one dead letter."""
    values = msgspec.to_builtins(_ask(context, lambda letters: letters.show(job)))
    context.emit(values, "\n".join(f"{name:12} {value}" for name, value in values.items()))


@command.command()
@click.argument("jobs", nargs=-1)
@data_options
@_wanted_options
@_edits
@_all
@_rate
@_dry
@_run
def replay(context: Context, jobs: tuple[str, ...], wanted: Wanted, **options: Any) -> None:
    """Queue dead letters again with all their attempts; a running server takes them up within a second."""
    from atomic_guide.engines.queues.edit import parse_edit

    edits = [parse_edit(text) for text in options["edits"]]
    _check_choice(jobs, wanted, every=options["every"], run=options["run"])
    if options["dry_run"]:
        _emit_plan(context, _at_desk(context, lambda desk: desk.plan(jobs, wanted, edits)))
    elif jobs:
        done = _ask(context, lambda letters: _replayed(letters, jobs, edits))
        text = "\n".join(line for job in jobs for line in [f"queued {job} again", *_diff(done[job])])
        context.emit({"replayed": _named(jobs), **({"changes": _shown(done)} if edits else {})}, text)
    else:
        _many(context, _task("replay", wanted, edits, options["rate"]), options["run"])


@command.command()
@click.argument("jobs", nargs=-1)
@data_options
@_wanted_options
@_all
@_rate
@_dry
@_run
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(context: Context, jobs: tuple[str, ...], wanted: Wanted, **options: Any) -> None:
    """Take dead letters out for good; the log keeps them for a while."""
    _check_choice(jobs, wanted, every=options["every"], run=options["run"])
    if jobs and not options["dry_run"]:
        _ask(context, lambda letters: _dropped(letters, jobs))
        context.emit({"dropped": _named(jobs)}, "\n".join(f"dropped {job}" for job in jobs))
        return
    plan = _at_desk(context, lambda desk: desk.plan(jobs, wanted, None))
    if options["dry_run"]:
        _emit_plan(context, plan)
        return
    if not options["yes"]:
        click.confirm(f"Drop {plan.count('drops'):,} dead letters?", abort=True, err=True)
    _many(context, _task("drop", wanted, [], options["rate"]), options["run"])


@command.command()
@data_options
@click.option("--job", default="", help="Only what was done to this job.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most entries to list (default 100).")
def audit(context: Context, job: str, limit: int) -> None:
    """List who replayed or dropped what, and when, the newest first."""
    found, missing = _at_desk(context, lambda desk: desk.audit(job, limit))
    lines = [f"{one.at}  {one.actor:12} {one.action:22} {one.subject}  {one.kind:18} {_told(one)}" for one in found]
    text = "\n".join(lines) or "nothing was done to dead letters"
    context.emit_found("actions", msgspec.to_builtins(found), text, missing)


def _told(action: Action) -> str:
    changes = [f"{field}: {action.before.get(field)!r} -> {after!r}" for field, after in action.after.items()]
    return "; ".join([*changes, *([f"run {action.run}"] if action.run else [])])


async def _replayed(letters: DeadLetters, jobs: Sequence[str], edits: Sequence[Edit]) -> dict[str, Changes]:
    return {job: await letters.replay(job, _act(), edits) for job in jobs}


async def _dropped(letters: DeadLetters, jobs: Sequence[str]) -> None:
    for job in jobs:
        await letters.drop(job, _act())


def _emit_plan(context: Context, plan: Plan) -> None:
    done = plan.count("runs", "dies", "drops")
    lines: list[str] = []
    for letter in plan.letters:
        guess = {"held": "  a live job does its work", "dies": f"  likely dies again: {letter.why}"}
        head = f"{letter.id}  {letter.died_at}  {letter.kind:18} {letter.subject}{guess.get(letter.outcome, '')}"
        lines += [head, *_shown_changes(letter.changes)]
    lines += [f"{job}  {why}" for job, why in plan.refused.items()]
    lines.append(f"{done:,} would be done, {plan.count('held'):,} are held by live jobs, {len(plan.refused):,} cannot")
    lines += [f"incomplete, without {shard}: {reason}" for shard, reason in plan.missing.items()]
    told = {"would_be_done": done, "held": plan.count("held"), **msgspec.to_builtins(plan)}
    context.emit(told, "\n".join(lines))


def _many(context: Context, task: Task, run: str | None) -> None:
    """Do it to many; raises `Incomplete` where something was left."""
    from atomic_guide.clock import SystemClock
    from atomic_guide.engines.queues.many import known_run, new_run
    from atomic_guide.errors import Conflict

    clock = SystemClock()
    begun = known_run(run) if run else new_run(clock)
    click.echo(f"run {begun.id}; if it is interrupted, go on with --run {begun.id}", err=True)
    progress = Progress()

    def watch(done: Done) -> None:
        progress(f"{done.looked_at:,} looked at: {_counts(done.counts, done.refused)}")

    done = _at_desk(context, lambda desk: desk.do(task, begun.id, watch))
    told = {"run": begun.id, **done.counts, "refused": done.refused, "missing": done.missing}
    context.emit(told, _counts(done.counts, done.refused))
    left = [f"{job}: {why}" for job, why in [*done.refused.items(), *done.missing.items()]]
    if held := done.counts.get("held", 0):
        left.append(f"{held:,} are held by live jobs that do the same work")
    if left:
        raise Conflict(f"not all was done: {'; '.join(left[:5])}{' ...' if len(left) > 5 else ''}")  # noqa: PLR2004 - as shown


def _counts(counts: Mapping[str, int], refused: Mapping[str, str]) -> str:
    counted = [f"{name} {count:,}" for name, count in sorted(counts.items())]
    return ", ".join([*counted, *([f"refused {len(refused):,}"] if refused else [])]) or "nothing to do"


def _check_choice(jobs: Sequence[str], wanted: Wanted, *, every: bool, run: str | None) -> None:
    if bool(jobs) == every:
        raise click.UsageError("name the jobs, or give --all with a filter such as --kind or --reason")
    if jobs and not wanted.everything:
        raise click.UsageError("a filter goes with --all, not with names of jobs")
    if every and wanted.everything:
        raise click.UsageError("--all needs a filter, such as --kind, --reason or --since")
    if run and not every:
        raise click.UsageError("--run goes with --all and the filter of that run")


def _task(deed: str, wanted: Wanted, edits: Sequence[Edit], rate: float) -> Task:
    from atomic_guide.engines.queues.many import Task

    return Task("replay" if deed == "replay" else "drop", actor(), wanted, edits, rate)


def _act() -> Act:
    from atomic_guide.engines.queues.actions import Act

    return Act(actor(), time.time())


def _named(jobs: Sequence[str]) -> str | list[str]:
    return jobs[0] if len(jobs) == 1 else list(jobs)


def _diff(changes: Sequence[Change]) -> list[str]:
    return _shown_changes([change._asdict() for change in changes])


def _shown_changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"  {sign} {change['field']}: {msgspec.json.encode(change[name]).decode()}"
        for change in changes
        for sign, name in (("-", "before"), ("+", "after"))
    ]


def _shown(done: dict[str, Changes]) -> dict[str, list[dict[str, Any]]]:
    return {job: [change._asdict() for change in changes] for job, changes in done.items()}


def _ask(context: Context, question: Callable[[DeadLetters], Awaitable[T]]) -> T:
    from atomic_guide.engines.queues.deadletter import DeadLetters

    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(DeadLetters(shards))

    return asyncio.run(ask())


def _at_desk(context: Context, question: Callable[[Letters], Awaitable[T]]) -> T:
    from atomic_guide.app.jobs import made_letters

    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(made_letters(context.settings, shards))

    return asyncio.run(ask())
