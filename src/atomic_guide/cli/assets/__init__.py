"""`atomic-guide assets`: what tenants store of lectures and may store, and where copies of them are."""

from __future__ import annotations

import click

from atomic_guide.cli.assets.carry import carry
from atomic_guide.cli.assets.copies import deletions, repair, replicas, verify, where
from atomic_guide.cli.assets.quota import quota
from atomic_guide.cli.assets.recount import recount
from atomic_guide.cli.assets.reprocess import reprocess

command = click.Group(
    "assets",
    commands=[replicas, where, verify, repair, deletions, carry, quota, recount, reprocess],
    help="Look after stored lectures: what each tenant may use, processing again, and copies in other stores.",
)
