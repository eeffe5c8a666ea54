"""`atomic-guide alerts`: what is wrong now, which rules say so, and who is told."""

from __future__ import annotations

import click

from atomic_guide.cli.alerts.quiet import silence, silences, unsilence
from atomic_guide.cli.alerts.rules import check, export
from atomic_guide.cli.alerts.standing import history, list_alerts, test

command = click.Group(
    "alerts",
    commands=[list_alerts, check, test, silence, silences, unsilence, history, export],
    help="Look at alerts and their rules, keep some quiet for a time, try rules and channels, export them to"
    " Prometheus.",
)
