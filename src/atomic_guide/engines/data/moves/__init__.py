"""Online moves: a bucket, or one course of it, goes from one shard to another while it is read and written.

    mover = Mover(shards, owner="cli-4711")
    move = await mover.start(Scope("default", 17), "shard-4")      # or Scope.of_course(zone, key), which pins a course
    move = await mover.carry_out(move.id, told)                    # done, or aborted with its reason in `error`

`start` writes the move down; `carry_out` does it from whatever state it is in, so that a mover that crashed is
followed by another (`resume_all`). `list_moves` shows them. `verify(shards)` finds what does not fit together.
"""

from atomic_guide.engines.data.moves.judge import Finding
from atomic_guide.engines.data.moves.move import Limits, Move, Progress, Scope, Superseded
from atomic_guide.engines.data.moves.mover import Mover, Outcome
from atomic_guide.engines.data.moves.verify import verify

__all__ = ["Finding", "Limits", "Move", "Mover", "Outcome", "Progress", "Scope", "Superseded", "verify"]
