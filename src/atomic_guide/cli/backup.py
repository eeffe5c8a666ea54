"""`atomic-guide backup`: make, list and verify backups."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, Progress, data_options
from atomic_guide.errors import Conflict

if TYPE_CHECKING:
    from atomic_guide.app.keeping.lectures import Lectures


@click.group(cls=Leading, leads="make")
def command() -> None:
    """Make a backup of the data directory, list those there are, verify one."""


@command.command()
@data_options
@click.option(
    "--to", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Where (default backups.directory)."
)
def make(context: Context, folder: Path | None) -> None:
    """Make a backup: databases, objects, signing keys, the operators' token. Works beside a running server."""
    from atomic_guide.app.keeping.log import folder_of
    from atomic_guide.app.keeping.take import take

    where = folder or folder_of(context.settings.backups, context.data)
    found = asyncio.run(take(context.settings, where, Progress()))
    manifest = found.manifest
    text = f"{found.path}\n{len(manifest.schemas)} databases, {manifest.objects} objects, {manifest.size / 1e6:.1f} MB"
    if manifest.bucket:
        text += f"\nlectures are in {manifest.bucket}, which has to keep them itself (docs/assets.md);"
        text += f" the lists of {manifest.lists} of them are in the backup, {manifest.unlisted} have none"
    context.emit(_facts(found.path, manifest), text)


@command.command("list")
@data_options
@click.option(
    "--in", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Where (default backups.directory)."
)
def list_backups(context: Context, folder: Path | None) -> None:
    """List the backups, the oldest first, and what the log can go back to."""
    from atomic_guide.app.keeping.log import folder_of, log_folder
    from atomic_guide.app.keeping.manifest import all_in
    from atomic_guide.clock import iso
    from atomic_guide.engines.data.wal.marks import spans

    known = all_in(folder or folder_of(context.settings.backups, context.data))
    lines = [
        f"{found.manifest.id}  {found.manifest.began_at}  {found.manifest.size / 1e6:10.1f} MB"
        f"  {found.manifest.objects} objects"
        for found in known
    ]
    facts = [_facts(found.path, found.manifest) for found in known]
    reached = spans(log_folder(context.settings))
    windows = [{"from": iso(span.first.until), "to": iso(span.last.until)} for span in reached]
    lines = lines or ["there is no backup; `atomic-guide backup make` makes one"]
    lines += [f"any moment {span.text}, from the log" for span in reached]
    context.emit({"backups": facts, "log": windows}, "\n".join(lines))


@command.command()
@click.argument("backup", default="latest")
@data_options
@click.option(
    "--lectures",
    type=click.Choice(["names", "bytes"]),
    help="Where a bucket keeps the lectures, ask it for what the backup lists: by names and sizes, or read every byte.",
)
def verify(context: Context, backup: str, lectures: str | None) -> None:
    """Read every byte of a backup (an id, a folder or `latest`) and compare it with its manifest.

    Exits with 1 where a bucket does not have what the backup lists.
    """
    from atomic_guide.app.keeping.lectures import compare_backup
    from atomic_guide.app.keeping.log import folder_of
    from atomic_guide.app.keeping.manifest import choose
    from atomic_guide.app.keeping.restore import own_key
    from atomic_guide.app.keeping.verify import verify as check

    found = choose(folder_of(context.settings.backups, context.data), backup, None)
    check(found, own_key(context.settings), Progress())
    text = f"{found.manifest.id} is whole: {len(found.manifest.files)} files and {found.manifest.objects} objects"
    facts = {**_facts(found.path, found.manifest), "verified": True}
    if lectures is None:
        context.emit(facts, text)
        return
    seen = asyncio.run(compare_backup(context.settings, found, Progress(), read=lectures == "bytes"))
    lines = [text, *told(seen)]
    context.emit({**facts, "lectures": msgspec.to_builtins(seen)}, "\n".join(lines))
    if not seen.sound:
        raise Conflict(
            f"{found.manifest.bucket} does not have all that the backup lists; docs/assets.md says how to bring it back"
        )


def told(found: Lectures) -> list[str]:
    """How a bucket stands against its lists, in lines."""
    how = "every byte compared" if found.read else "names and sizes compared"
    lines = [f"{found.whole} of {found.lectures} lectures are whole in the bucket, {found.objects} objects; {how}"]
    lines += [f"  {name}" for name in found.named]
    more = sum(found.wrong.values()) - len(found.named)
    lines += [f"  and {more} more"] if more else []
    lines += [f"lectures of which the bucket has nothing: {found.without_files}"] if found.without_files else []
    lines += [f"lectures without a list, of which that cannot be told: {found.unlisted}"] if found.unlisted else []
    return lines


def _facts(path: Path, manifest: Any) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "path": str(path),
        "began_at": manifest.began_at,
        "finished_at": manifest.finished_at,
        "program": manifest.program,
        "schemas": manifest.schemas,
        "objects": manifest.objects,
        "bytes": manifest.size,
        **({"bucket": manifest.bucket} if manifest.bucket else {}),
        **({"lists": manifest.lists, "unlisted": manifest.unlisted} if isinstance(manifest.lists, int) else {}),
    }
