"""`atomic-guide assets`: what tenants store of lectures, and what they may."""

from __future__ import annotations

import click

from atomic_guide.cli.assets.quota import quota
from atomic_guide.cli.assets.recount import recount
from atomic_guide.cli.assets.reprocess import reprocess


@click.group()
def command() -> None:
    """Look after stored lectures: what each tenant uses and may use, and having them processed again."""


command.add_command(quota)
command.add_command(recount)
command.add_command(reprocess)
