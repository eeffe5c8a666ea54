"""Sessions: how new the data must be that one caller reads.

    async with shards.session(bookmark) as session:       # or "first-primary", "first-unconstrained"
        rows = await shards.of(key).read(...)              # from a replica that has what the bookmark names
        await shards.of(key).write(work)
        onward = await session.bookmark()                  # for the next request, process, or job

The session that is entered is found by every read and write below it, so that course code takes no argument for it.
Without one, reads go to primaries. A session promises:

- It reads its own writes, and those that its bookmark knows of.
- It never goes back: what it has read of a shard, later reads of that shard show too.
- `first-primary` also shows everything that was committed when it began; `first-unconstrained` may begin in the past.

Where it stands is learnt late. A write, or a read of a primary, only leaves a mark, a read of a replica only its name.
`bookmark` asks each such server once where it is, after the fact, together with all others who ask in that moment.
While a mark is young, short reads go to the primary: a replica may not be there yet, and asking would cost as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import EVERYWHERE, PRIMARY, Bookmark, Position, Seal, later

if TYPE_CHECKING:
    from atomic_guide.engines.data.standing import Server

FIRST_PRIMARY: Final = "first-primary"
FIRST_UNCONSTRAINED: Final = "first-unconstrained"

_current: contextvars.ContextVar[Session | None] = contextvars.ContextVar("data_session", default=None)


class View:
    """What a session knows of one shard."""

    __slots__ = ("changes", "demands", "marked_at", "position", "process", "seen")

    def __init__(self, position: Position | None, *, demands: bool) -> None:
        self.position = position
        """Where a replica must be; `PRIMARY` where that is not known."""
        self.demands = demands
        """Whether nothing but the primary will do until something has been seen."""
        self.marked_at: float | None = None
        """When the session last began to depend on what only the primary is sure to have; monotonic seconds."""
        self.seen: Server | None = None
        """The replica that answered since."""
        self.process = 0
        """Which process of it."""
        self.changes = 0
        """Grows with every mark and answer: what comes while a server is being asked is not covered by its word."""

    @property
    def settled(self) -> bool:
        """Whether the position says it all."""
        return self.marked_at is None and self.seen is None

    def mark(self) -> None:
        """The session has written to the primary, or read from it."""
        self.changes += 1
        if self.marked_at is None:
            self.marked_at = time.monotonic()

    def answered(self, replica: Server, process: int) -> None:
        """A replica has answered."""
        self.changes += 1
        self.seen, self.process = replica, process

    async def settle(self, shard: Settling) -> None:
        """Turn marks into a position, by asking after the fact. Leaves `PRIMARY` where a server does not say."""
        seen, process, changes, position = self.seen, self.process, self.changes, self.position
        marked = self.marked_at is not None
        if seen is not None:
            here = await seen.asked()
            # Another process of the replica may stand further back than the one that answered.
            known = here is not None and seen.process == process
            position = later(position, here.position) if here is not None and known else PRIMARY
        if marked or self.demands or position == PRIMARY:
            position = await shard.position()
        self.position = position
        if self.changes == changes:
            self.seen = self.marked_at = None
            self.demands = False


class Settling(Protocol):
    """What a view asks of its shard."""

    async def position(self) -> Position:
        """Where the primary is, `PRIMARY` where it does not say."""
        ...


class Session:
    """One caller's consistency over all shards. `Shards.session` makes and enters one; `number()` is its map's."""

    def __init__(
        self,
        seal: Seal,
        start: Bookmark,
        number: Callable[[], int],
        *,
        read_only: bool = False,
        at_primary: bool = False,
    ) -> None:
        self.read_only = read_only
        self.at_primary = at_primary
        self._seal = seal
        self._number = number
        self._everywhere = start.everywhere
        self._views: dict[str, View] = {name: View(place, demands=False) for name, place in start.positions.items()}
        self._shards: dict[str, Settling] = {}
        self._closed = False

    def view(self, name: str, shard: Settling) -> View:
        """What the session knows of a shard, which it has to do with from now on."""
        self._shards[name] = shard
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = View(None, demands=self._everywhere)
        return view

    def reach(self, name: str, position: Position) -> None:
        """From now on, show what a shard holds at a position."""
        known = self._views.get(name)
        if known is None:
            self._views[name] = View(position, demands=False)
        else:
            known.position = later(known.position, position)

    async def bookmark(self) -> str:
        """What the session has seen, for whoever goes on from here; a word that is safe where no key can be had."""
        marked = [
            self._views[name].settle(shard) for name, shard in self._shards.items() if not self._views[name].settled
        ]
        if len(marked) == 1:
            await marked[0]
        elif marked:
            await asyncio.gather(*marked)
        try:
            return await self._seal.close(self._noted())
        except errors.GuideError:
            return FIRST_PRIMARY

    def promise(self) -> str | None:
        """The same without waiting: what is only marked will be read from the primary. None where no key is here."""
        return self._seal.closed(self._noted()) or None

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make the session the one of this block and of the tasks begun in it; it ends with the block."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            self._closed = True

    def context(self) -> contextvars.Context:
        """A context in which this session is entered until it is closed, for tasks of a connection's life."""
        context = contextvars.copy_context()
        context.run(_current.set, self)
        return context

    def close(self) -> None:
        """What still runs in the session's context reads from primaries from now on."""
        self._closed = True

    @property
    def closed(self) -> bool:
        """Whether its block has ended; tasks that outlive it are in no session."""
        return self._closed

    def _noted(self) -> Bookmark:
        positions = {}
        for name, view in self._views.items():
            position = view.position if view.settled else PRIMARY
            if position is not None:
                positions[name] = position
        return Bookmark(self._number(), positions, self._everywhere).bounded()


def current_session() -> Session | None:
    """The session that the caller is in, if any."""
    session = _current.get()
    return session if session is not None and not session.closed else None


@contextlib.contextmanager
def outside_session() -> Iterator[None]:
    """A block whose reads go to primaries and leave no mark: for what is decided or repaired by what it reads."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


async def opened(seal: Seal, start: str) -> Bookmark:
    """The bookmark that a session begins with: one of the two words, or bookmarks with commas between them."""
    if start == FIRST_UNCONSTRAINED:
        return Bookmark()
    found = Bookmark()
    texts = [part.strip() for part in start.split(",")]
    if len(texts) > MERGED:
        return EVERYWHERE
    for text in texts:
        found = found.merged(EVERYWHERE if text == FIRST_PRIMARY else await seal.open(text))
    return found


MERGED = 8
"""Most bookmarks that are joined: a page has about as many calls under way; one with more begins at the primary."""
