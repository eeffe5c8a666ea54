"""`atomic-guide costs`: what is paid, what for, and what could be saved."""

from __future__ import annotations

import click

from atomic_guide.cli.costs.advice import explain, recommendations
from atomic_guide.cli.costs.change import apply, changes, rollback
from atomic_guide.cli.costs.prices import prices
from atomic_guide.cli.costs.report import report

command = click.Group(
    "costs",
    commands=[report, recommendations, explain, apply, rollback, changes, prices],
    help="Look at what is paid and what for, find what could be saved, do it, and see what it has saved.",
)
