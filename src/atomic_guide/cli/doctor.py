"""`atomic-guide doctor`: what is well, what is not, and what to do."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.app.doctor import Finding

MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


@click.command()
@data_options
@click.option("--all", "everything", is_flag=True, help="List every limit and the bounds of every dependency.")
def command(context: Context, *, everything: bool) -> None:
    """Check everything the server needs, beside a running one too; exits 1 where something fails."""
    from atomic_guide.app.doctor import examine

    def tell(finding: Finding) -> None:
        if not context.as_json and (everything or not finding.detail):
            click.echo(f"{MARKS[finding.status]}  {finding.part}: {finding.text}")
            if finding.remedy:
                click.echo(f"         -> {finding.remedy}")

    findings = asyncio.run(examine(context.settings, tell))
    failed = [finding.part for finding in findings if finding.status == "failed"]
    context.emit({"ok": not failed, "findings": findings}, "")
    if failed:
        click.echo(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}", err=True)
        sys.exit(1)
