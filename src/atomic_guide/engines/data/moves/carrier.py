"""What an engine does for a move: bringing the rows of a scope from one shard to another. The port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from atomic_guide import errors
from atomic_guide.engines.data.moves.ledger import Override
from atomic_guide.engines.data.moves.move import Limits, Move, Step
from atomic_guide.engines.data.moves.rows import Rows
from atomic_guide.engines.data.moves.side import Side

Say = Callable[[Step, str], None]


class Task(NamedTuple):
    """What is to be carried, between whom, and within which limits."""

    move: Move
    source: Side
    target: Side
    rows: Rows
    limits: Limits
    overrides: Sequence[Override]
    """The courses of the bucket that have a place of their own."""
    source_apart: bool
    """Whether the scope is a course that had a place of its own before the move."""
    target_apart: bool
    """Whether a course has a place of its own afterwards; else it goes by its bucket again."""


class Carrier(Protocol):
    """Brings rows over. Each call may be repeated, by another mover too."""

    async def copy(self, say: Say) -> None:
        """While the source is read and written: bring the target so near that the rest takes milliseconds."""
        ...

    async def finish(self, say: Say) -> int:
        """Once the source is fenced: bring the rest, stop carrying, and prove that both hold the same.

        Returns the number of rows. Raises `DataUnavailable` where that cannot be done in time, or they differ.
        """
        ...

    async def clear(self) -> None:
        """Remove what was set up for carrying, as far as it is still there."""
        ...


def differ(task: Task) -> errors.DataUnavailable:
    """What is raised where the two sides are not the same."""
    source, target = task.source.shard.name, task.target.shard.name
    return errors.DataUnavailable(f"{source} and {target} do not hold the same rows after the copy; move it again")
