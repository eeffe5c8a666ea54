"""A message as everybody sees it."""

from __future__ import annotations

import msgspec

from atomic_guide.engines.rooms.wire import text_frame


class Author(msgspec.Struct, frozen=True):
    """Who wrote it: the LMS's own id, the name and the role in the course."""

    id: str
    name: str
    role: str = "learner"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message; `created_at` is ISO 8601 UTC. A deleted one has neither author nor content, and keeps its number."""

    id: str
    seq: int
    author: Author
    content: str
    created_at: str
    deleted: bool = False

    def frame(self) -> bytes:
        """The WebSocket frame that announces it, the same bytes for every socket."""
        return text_frame("message", self)


def tombstone(message: Message) -> Message:
    """What is shown of a message that was deleted."""
    return Message(f"deleted-{message.seq}", message.seq, Author("", ""), "", message.created_at, deleted=True)


class Page(msgspec.Struct, frozen=True):
    """Messages in order of `seq`, and the newest one's number."""

    messages: list[Message]
    last_seq: int
