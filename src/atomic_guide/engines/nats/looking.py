"""Everything that a NATS server keeps: each message of each stream, keys and values of buckets among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.engines.nats.connection import Connection

_SECONDS = 5.0


class Kept(NamedTuple):
    """A message: its stream, its subject (of a bucket's entry, its key is the end of it), and what it holds."""

    stream: str
    subject: str
    data: bytes


async def kept(connection: Connection, most: int = 100_000) -> AsyncIterator[Kept]:
    """Each message that is kept now, at most so many of each stream, the newest. Raises `Unavailable`."""
    client = connection.client
    if client is None:
        raise Unavailable("NATS is away")
    streams = client.jetstream(timeout=_SECONDS)
    try:
        for info in await streams.streams_info():
            name, state = info.config.name or "", info.state
            # A stream that never held anything begins at 0, which is no message's number.
            for number in range(max(1, state.first_seq, state.last_seq - most + 1), state.last_seq + 1):
                try:
                    message = await streams.get_msg(name, number)
                except NotFoundError:
                    # Replaced or expired since.
                    continue
                yield Kept(name, message.subject or "", message.data or b"")
    except (NatsError, TimeoutError, OSError) as error:
        raise Unavailable(f"NATS does not tell what it keeps ({type(error).__name__})") from error
