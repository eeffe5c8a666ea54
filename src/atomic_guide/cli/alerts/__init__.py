"""`atomic-guide alerts`: what is wrong now, which rules say so, and who is told."""

from __future__ import annotations

from atomic_guide.cli.alerts.quiet import silence, silences, unsilence
from atomic_guide.cli.alerts.rules import check, export
from atomic_guide.cli.alerts.standing import history, list_alerts, test
from atomic_guide.cli.options import Leading

command = Leading(
    "alerts",
    leads="list",
    commands=[list_alerts, check, test, silence, silences, unsilence, history, export],
    help="Look at alerts and their rules, keep some quiet for a time, try rules and channels, export them to"
    " Prometheus.",
)
