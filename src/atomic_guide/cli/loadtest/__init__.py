"""`atomic-guide loadtest`: what a server bears, and whether that is enough."""

from __future__ import annotations

from atomic_guide.cli.loadtest.reports import clean, list_tests, report, show, stop
from atomic_guide.cli.loadtest.run import plan, run
from atomic_guide.cli.loadtest.worker import worker
from atomic_guide.cli.options import Leading

command = Leading(
    "loadtest",
    leads="list",
    commands=[run, plan, stop, list_tests, show, report, clean, worker],
    help="Load a test target with launches, messages, sockets, uploads and scores, and judge how it does.",
)
