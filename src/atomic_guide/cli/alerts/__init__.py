"""`atomic-guide alerts`: what is wrong now, which rules say so, and who is told."""

from __future__ import annotations

import click

from atomic_guide.cli.alerts.rules import check, export


@click.group(name="alerts")
def command() -> None:
    """Look at alerts and their rules, keep some quiet for a time, try rules and channels, export them to Prometheus."""


for _part in (check, export):
    command.add_command(_part)
