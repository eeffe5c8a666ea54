"""`atomic-guide shards`: which shard has what, and moving it while it is used."""

from __future__ import annotations

from atomic_guide.cli.options import Leading
from atomic_guide.cli.shards.change import add, weight, zone
from atomic_guide.cli.shards.hold import cancel, pause, resume
from atomic_guide.cli.shards.look import list_shards, plan
from atomic_guide.cli.shards.move import drain, move, rebalance, remove, unpin, verify

command = Leading(
    "shards",
    leads="list",
    commands=[
        *(list_shards, add, weight, zone, plan, move, unpin, rebalance, drain, remove, verify),
        *(pause, resume, cancel),
    ],
    help="Look at the shards, add some, and move buckets and courses between them while they are used.",
)
