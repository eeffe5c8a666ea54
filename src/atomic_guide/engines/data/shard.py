"""One shard: its primary, and the replicas that may answer for it.

A `Shard` is a `Database`: writes go to the primary; a read goes where the session of its caller allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import Position
from atomic_guide.engines.data.database import Database, Engine, Params, Row, Target, Work
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.replica import Call
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.session import Session, View, current_session

T = TypeVar("T")


class Shard:
    """A shard as a `Database`; `replicas` is None where its engine has none to follow it."""

    def __init__(
        self,
        name: str,
        primary: Engine,
        zone: str,
        weight: float = 1.0,
        replicas: ReplicaSet | None = None,
        region: str = "",
    ) -> None:
        self._name = name
        self.primary = primary
        self.zone = zone
        self.weight = weight
        self.replicas = replicas
        self.region = region

    @property
    def name(self) -> str:
        """How settings, logs and metrics call it."""
        return self._name

    @property
    def target(self) -> Target:
        """Itself."""
        return Target(self, ())

    async def read(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A short read."""
        if (view := self._view()) is None:
            return await self.primary.read(query, params, epoch=epoch)
        return await self._answered(view, lambda engine: engine.read(query, params, epoch=epoch))

    async def one(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> Row | None:
        """The first row of a short read."""
        if (view := self._view()) is None:
            return await self.primary.one(query, params, epoch=epoch)
        return await self._answered(view, lambda engine: engine.one(query, params, epoch=epoch))

    async def read_each(self, query: Query, params: Sequence[Params], *, epoch: int | None = None) -> list[list[Row]]:
        """The rows for each set of parameters."""
        if (view := self._view()) is None:
            return await self.primary.read_each(query, params, epoch=epoch)
        return await self._answered(view, lambda engine: engine.read_each(query, params, epoch=epoch))

    async def scan(self, query: Query, params: Params | None = None, *, epoch: int | None = None) -> list[Row]:
        """A read that may take long."""
        if (view := self._view()) is None:
            return await self.primary.scan(query, params, epoch=epoch)
        return await self._answered(view, lambda engine: engine.scan(query, params, epoch=epoch), long=True)

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work on the primary. Raises `Forbidden` in a session that only reads."""
        session = writing_session()
        if session is None:
            return await self.primary.write(work)
        try:
            return await self.primary.write(work)
        finally:
            # Also after an error: the outcome may be unknown, and the data there.
            note_write(session, self)

    async def position(self) -> Position | None:
        """Where the primary is now, for a session that begins here; None where no replica can be behind it."""
        return await self.replicas.position() if self.replicas is not None else None

    def apart(self) -> Engine:
        """The primary over connections of its own, for another event loop; whoever asks closes it."""
        return self.primary.apart()

    async def close(self) -> None:
        """Let go of every server."""
        if self.replicas is not None:
            await self.replicas.close()
        await self.primary.close()

    def _view(self) -> View | None:
        """What the caller's session knows of this shard; None where reads simply go to the primary."""
        session = current_session() if self.replicas is not None else None
        return session.view(self._name, self.replicas) if session is not None and self.replicas is not None else None

    async def _answered(self, view: View, call: Call[T], *, long: bool = False) -> T:
        replicas, session = self.replicas, current_session()
        if replicas is None or not replicas.replicas or session is None or session.at_primary:
            result = await call(self.primary)
            view.mark()
            return result
        return await replicas.answer(view, call, long=long)


def writing_session() -> Session | None:
    """The session that the caller writes in, if any. Raises `Forbidden` where it only reads."""
    session = current_session()
    if session is not None and session.read_only:
        raise errors.Forbidden("this session only reads; begin one that may write")
    return session


def note_write(session: Session | None, database: Database) -> None:
    """A session has written: it must see that from now on. Databases without replicas have nothing to note."""
    shard = database.target.database
    if session is not None and isinstance(shard, Shard) and shard.replicas is not None:
        session.view(shard.name, shard.replicas).mark()
