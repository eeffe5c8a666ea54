"""`atomic-guide loadtest`: what a server bears, and whether that is enough."""

from __future__ import annotations

import click

from atomic_guide.cli.loadtest.reports import clean, list_tests, report, show, stop
from atomic_guide.cli.loadtest.run import plan, run
from atomic_guide.cli.loadtest.worker import worker

command = click.Group(
    "loadtest",
    commands=[run, plan, stop, list_tests, show, report, clean, worker],
    help="Load a test target with launches, messages, sockets, uploads and scores, and judge how it does.",
)
