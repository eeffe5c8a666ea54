"""`atomic-guide scale`: how much of what runs, and how much should."""

from __future__ import annotations

import click

from atomic_guide.cli.scale.processes import processes
from atomic_guide.cli.scale.replay import forecast, simulate


@click.group(name="scale")
def command() -> None:
    """Look at how much runs, change it while it runs, and try policies on recorded demand."""


for _part in (processes, simulate, forecast):
    command.add_command(_part)
