"""What rooms need from outside: where messages and changes are kept for good, and who answers the members."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Standing


class History(Protocol):
    """The numbered messages of rooms and the changes of them. `key` is what `join` was given."""

    async def standing(self, key: Any) -> Standing:
        """The newest message's number and the room's revision."""
        ...

    async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` messages that follow `after` as (seq, frame), in order."""
        ...

    async def changes(self, key: Any, after: int) -> Changes:
        """How the room is, and what was deleted after a revision."""
        ...


class Receipt(NamedTuple):
    """What a sender gets for a message: the sender's own id of it and its number in the room."""

    id: str
    seq: int


class Conversation(Protocol):
    """What members may ask for. Its `GuideError`s go to the asking socket."""

    async def post(self, key: Any, person: Person, content: str, identifier: str | None) -> Receipt:
        """Store a message; returns once it is durable."""
        ...

    async def page(self, key: Any, after: int | None, before: int | None, limit: int) -> Any:
        """Messages for a `history` frame, JSON-ready."""
        ...
