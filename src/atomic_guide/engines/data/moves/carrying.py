r"""One move, carried out by one mover: from whatever state it is in to its end.

    planned -> copying -> fencing -> flipped -> cleaning -> done
         \_________\_________\-> aborting -> aborted

- copying: the target expects the scope, and receives its rows as far as the engine can while they are written.
- fencing: the source answers reads only; the last changes come over; both sides are compared.
- flipped: the directory names the target. Before, every failure aborts: the source owns the scope as before. After,
  the move only goes forward: the source answers no more, then the target begins to.
- cleaning: what was set up is removed, and the source's rows.

Between fence and flip nobody but the source may answer, and after it nobody but the target. So the source lets go
before the target begins, and reads wait for these two commits, too. Where it is unknown whether the flip was stored,
nothing is undone: the directory decides when it is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.engines.data.moves.carrier import Carrier, Task
from atomic_guide.engines.data.moves.ledger import Ledger
from atomic_guide.engines.data.moves.move import Limits, Move, Progress, Step, Superseded
from atomic_guide.engines.data.moves.rows import Rows
from atomic_guide.engines.data.moves.side import Side
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase

_log = structlog.get_logger(__name__)

Told = Callable[[Progress], None]

_FENCE_TRIES = 20
"""Attempts of 100 ms, and as long between them, to find a moment without a long write."""
_FENCE_REST = 0.1


class Carrying:
    """The way of one move, under one lease."""

    def __init__(self, ledger: Ledger, move: Move, task: Task, clock: Clock, told: Told) -> None:
        self.move = move
        self._ledger = ledger
        self._clock = clock
        self._told = told
        self._task = task
        self._carrier: Carrier = _carrier_of(task)
        self._flipping = False
        self._began: float | None = None

    async def run(self) -> None:
        """To its end. Raises `Superseded`, or what keeps it from its end for now."""
        try:
            await self._bring()
        except Superseded:
            raise
        except errors.GuideError as error:
            await self.give_up(error.message)
        if self.move.state == "aborting":
            await self.undo()
        else:
            await self._conclude()

    async def give_up(self, reason: str) -> None:
        """Towards `aborting`; nothing is given up that turns out to have been flipped."""
        if not self._flipping:
            try:
                await self._unfence()
            except Superseded:
                raise
            except errors.GuideError as error:
                _log.warning("the source of a move stays fenced for now", move=self.move.id, error=error.message)
        try:
            self.move = await self._ledger.advance(self.move, "aborting", error=reason)
        except Superseded:
            found = await self._ledger.find(self.move.id)
            if found.token != self.move.token or found.state != "flipped":
                raise
            self.move = found

    async def _bring(self) -> None:
        """Up to the flip."""
        if self.move.state == "planned":
            self.move = await self._ledger.advance(self.move, "copying")
        if self.move.state == "copying":
            self._say("enter", f"{self.move.target} is told of it")
            await self._task.target.enter(self._task.overrides)
            self._say("copy", "rows are copied while they are used")
            await self._carrier.copy(self._say)
            self.move = await self._ledger.advance(self.move, "fencing")
        if self.move.state == "fencing":
            self._say("fence", "writes wait")
            await self._fence()
            rows = await self._carrier.finish(self._say)
            self._say("flip", f"{rows} rows are the same on both sides; the map changes")
            self._flipping = True
            self.move = await self._ledger.flip(self.move, rows=rows)

    async def _fence(self) -> None:
        """Let the source refuse writes; where a long write is under way, again a little later."""
        for last in [False] * (_FENCE_TRIES - 1) + [True]:
            self._began = self._clock.monotonic()
            try:
                await self._task.source.fence()
            except errors.DataUnavailable as error:
                if last or isinstance(error, errors.Disconnected):
                    raise
                await asyncio.sleep(_FENCE_REST)
            else:
                return

    async def _conclude(self) -> None:
        """From the flip on."""
        if self.move.state == "flipped":
            self._say("leave", f"{self.move.source} lets go")
            await self._task.source.leave()
            self._say("own", f"{self.move.target} answers")
            await self._task.target.own(apart=self._task.target_apart)
            waited = 0.0 if self._began is None else (self._clock.monotonic() - self._began) * 1000
            self.move = await self._ledger.advance(self.move, "cleaning", pause_ms=waited)
        if self.move.state == "cleaning":
            self._say("clear", "what carried the rows is removed")
            await self._carrier.clear()
            self._say("purge", f"its rows are removed from {self.move.source}")
            await self._task.source.purge(self._task.rows)
            self._say("forget", f"{self.move.source} has nothing of it any more")
            await self._task.source.forget()
            self.move = await self._ledger.advance(self.move, "done")

    async def undo(self) -> None:
        """Back to where it was, in the order of urgency: writes go on before anything is tidied up."""
        self._say("unfence", f"{self.move.source} owns it as before")
        await self._unfence()
        self._say("clear", "what carried the rows is removed")
        await self._carrier.clear()
        if await self._task.target.withdraw():
            self._say("purge", f"its rows are removed from {self.move.target}")
            await self._task.target.purge(self._task.rows)
            self._say("forget", f"{self.move.target} has nothing of it any more")
            await self._task.target.forget()
        self.move = await self._ledger.advance(self.move, "aborted")

    async def _unfence(self) -> None:
        await self._task.source.unfence(apart=self._task.source_apart)

    def _say(self, step: Step, text: str) -> None:
        self._told(Progress(self.move, step, text))


async def task_of(shards: Shards, ledger: Ledger, move: Move, clock: Clock, limits: Limits) -> Task:
    """What is to be done, as the directory has it. Raises `Unavailable` where a shard of it is not configured."""
    source, target = (Side(shards.named(name), move, clock) for name in (move.source, move.target))
    overrides = await ledger.overrides(move.scope)
    scope = move.scope
    apart = any((each.tenant, each.course) == (scope.tenant, scope.course) for each in overrides)
    owner, _ = await ledger.bucket_owner(scope)
    return Task(move, source, target, Rows(scope, overrides), limits, overrides, apart, owner != move.target)


def _carrier_of(task: Task) -> Carrier:
    """The carrier for the engine of both shards. Raises `Conflict` where they differ."""
    source, target = task.source.shard.primary, task.target.shard.primary
    if isinstance(source, SqliteDatabase) and isinstance(target, SqliteDatabase):
        from atomic_guide.engines.data.moves.files import FileCarrier  # noqa: PLC0415 - one engine is needed, not both

        return FileCarrier(task, source.path, target.path)
    from atomic_guide.engines.data.moves.servers import ServerCarrier  # noqa: PLC0415 - as above
    from atomic_guide.engines.data.postgres import PostgresDatabase  # noqa: PLC0415 - as above

    if isinstance(source, PostgresDatabase) and isinstance(target, PostgresDatabase):
        return ServerCarrier(task, source, target)
    raise errors.Conflict(f"{task.source.shard.name} and {task.target.shard.name} are of different engines")
