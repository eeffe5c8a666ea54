"""The lines of JSON by which the tester's processes and whoever started them talk.

To a tester, by its standard input: one `Brief`, later perhaps the word `stop`; the end of the input ends it too. From
it, by its standard output: `Line`s, whose `kind` says what `value` is:

    listening   {"port"}                         a leader waits for its testers there
    joined      {"part", "of"}                   one of them has come
    prepared    {"what", "done", "of"}           people let in, sockets opened
    begin       {"at"}                           arrivals come from now on (seconds since the epoch)
    second      a `counts.Second`
    fault       text                             something in the tester itself went wrong
    lost        {"part"}                         nothing is heard of a tester any more
    failed      {"why"}                          it cannot be done; the last line then
    end         null                             all has been told
"""

from __future__ import annotations

import msgspec

from atomic_guide.operations.loadtest.plan import Order

LOCAL_HOST = "127.0.0.1"


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What a tester's process is to be. A leader waits for `testers` at `host`; a follower asks the leader there.

    `order` is for the one that sends alone and for the leader.
    """

    role: str
    order: Order | None = None
    secret: str = ""
    testers: int = 1
    host: str = LOCAL_HOST
    port: int = 0
    patience: float = 60.0
    """Seconds in which all testers must have come to their leader."""


class Line(msgspec.Struct, frozen=True):
    """A line of a tester."""

    kind: str
    value: msgspec.Raw = msgspec.Raw(b"null")


def line(kind: str, value: object = None) -> bytes:
    """A line, with its end."""
    return msgspec.json.encode({"kind": kind, "value": value}) + b"\n"
