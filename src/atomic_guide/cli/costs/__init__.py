"""`atomic-guide costs`: what is paid, what for, and what could be saved."""

from __future__ import annotations

from atomic_guide.cli.costs.advice import explain, recommendations
from atomic_guide.cli.costs.change import apply, changes, rollback
from atomic_guide.cli.costs.prices import prices
from atomic_guide.cli.costs.report import report
from atomic_guide.cli.options import Leading

command = Leading(
    "costs",
    leads="report",
    commands=[report, recommendations, explain, apply, rollback, changes, prices],
    help="Look at what is paid and what for, find what could be saved, do it, and see what it has saved.",
)
