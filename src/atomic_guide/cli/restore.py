"""`atomic-guide restore`: put a backup back, or a moment of the log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from atomic_guide.cli.backup import told
from atomic_guide.cli.options import Context, Progress, data_options


@click.command()
@click.argument("backup", required=False)
@data_options
@click.option(
    "--at",
    metavar="TIME",
    help="As it was at this ISO 8601 time, or `latest`, from the log; before it, the newest backup.",
)
@click.option(
    "--ledger",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A copy of the ledger of erasures, beside those that are found.",
)
@click.option("--without-ledger", is_flag=True, help="Nobody was erased since the backup: restore without a ledger.")
@click.option("--dry-run", is_flag=True, help="Verify it and say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(context: Context, backup: str | None, at: str | None, **options: Path | bool | None) -> None:
    """Put a backup (an id, a folder or `latest`) or a moment of the log into the data directory.

    It is verified first. Whoever was erased since it was made is erased again before anything is served. What the
    data directory holds is kept aside in it, as `replaced-TIME`. Refused while a server uses the directory. A
    restore that was interrupted is finished by the same command.
    """
    from atomic_guide.app.keeping.origins import choose_origin
    from atomic_guide.app.keeping.restore import Ledgers, finish_interrupted, own_key, restore
    from atomic_guide.app.supervisor import check_unused

    if (finished := finish_interrupted(context.data)) is not None:
        context.emit({"finished": finished}, f"finished the interrupted restore of {finished}")
        return
    if (backup is None) == (at is None):
        raise click.UsageError("name a backup (`atomic-guide backup list` shows them), or a time with --at")
    try:
        origin = choose_origin(context.settings, backup, at)
    except ValueError as error:
        raise click.UsageError(f"--at {at} is not an ISO 8601 time") from error
    progress = Progress()
    if options["dry_run"]:
        origin.verify(own_key(context.settings), progress)
        text = f"would restore {origin.id}, begun {origin.began_at}: it is whole"
        context.emit({"backup": origin.id, "began_at": origin.began_at, "dry_run": True}, text)
        return
    check_unused(context.data)
    if not options["yes"] and (context.data / "databases").exists():
        click.confirm(f"Replace {context.data} by what was there at {origin.began_at}?", abort=True, err=True)
    given = options["ledger"]
    ledgers = Ledgers(given if isinstance(given, Path) else None, bool(options["without_ledger"]))
    done = asyncio.run(restore(context.settings, origin, ledgers, progress))
    files = done.without_files
    lines = [
        f"restored {done.backup}, begun {done.began_at}: {done.databases} databases, {done.objects} objects",
        f"erasures known: {done.erasures}, repeated: {done.erased}",
        *([f"lectures whose files are nowhere: {files}"] if files and done.lectures is None else []),
        *(told(done.lectures) if done.lectures is not None else []),
        *(["whether lectures have files is not known: their bucket does not answer"] if files is None else []),
        *([f"unfinished uploads dropped: {done.dropped_uploads}"] if done.dropped_uploads else []),
        *([f"what was there before is in {done.aside}; remove it when it is not needed"] if done.aside else []),
        "everybody opens their course anew from the LMS: sessions are not restored",
    ]
    context.emit(msgspec.to_builtins(done), "\n".join(lines))
