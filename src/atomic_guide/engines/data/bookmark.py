"""Bookmarks: what a session has seen of each shard, signed, so that any process keeps the promises of another.

A bookmark is a vector: for each shard the timeline and the position in its log that a replica must have replayed
before it may answer, and the number of the map that the router knew. It travels as a short text that only this
installation can make: HMAC-SHA256, its key kept in the directory's `secrets`. Keys are renewed every day, and the old
ones are accepted for a week.

A text that is forged, damaged, or signed with a key that is gone is no error: it counts, and its bearer reads from the
primary.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.engines.data.ownership import QUERIES

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

SHARDS = 32
"""Most shards of a bookmark, 2.5 kB of text at their longest names; one that has seen more reads from primaries."""

_TEXT_LIMIT = 4096
_KEY_SECONDS = 86400.0
_KEPT_SECONDS = 8 * 86400.0
"""A session lives 12 hours and a job that waits for its retries a day or two."""
_RELOAD_SECONDS = 1.0
"""How often keys are looked for at most: bookmarks of nobody must not become load on the directory."""
_VERSION = b"\x01"
_KEY_NAME = 4
_MAC = 16
_OPENED = 1024
"""Bookmarks that are remembered as opened; without replicas all sessions carry the same one."""


class Position(NamedTuple):
    """A place in the log of a shard: its timeline, which a failover raises, and the byte (LSN) on it."""

    timeline: int
    lsn: int

    def covers(self, other: Position) -> bool:
        """Whether a replica that is here holds everything up to the other place."""
        return self.timeline == other.timeline and self.lsn >= other.lsn


PRIMARY = Position(0, 0)
"""Stands for a place that is not known: only the primary is sure to have reached it."""


def later(first: Position | None, second: Position) -> Position:
    """The place that covers both, as far as one does: a newer timeline holds what was kept of the older one."""
    if first is None:
        return second
    return PRIMARY if PRIMARY in {first, second} else max(first, second)


class Bookmark(msgspec.Struct, frozen=True, array_like=True):
    """What a session has seen. `everywhere`: the shards that are not named are read from their primaries."""

    number: int = 0
    positions: dict[str, Position] = {}
    everywhere: bool = False

    def merged(self, other: Bookmark) -> Bookmark:
        """The bookmark that keeps the promises of both."""
        positions = dict(self.positions)
        for name, position in other.positions.items():
            positions[name] = later(positions.get(name), position)
        return Bookmark(max(self.number, other.number), positions, self.everywhere or other.everywhere).bounded()

    def bounded(self) -> Bookmark:
        """Itself; or, where it names too many shards, the one that asks every primary."""
        return self if len(self.positions) <= SHARDS else Bookmark(self.number, {}, everywhere=True)


EVERYWHERE = Bookmark(everywhere=True)

_decoder = msgspec.msgpack.Decoder(Bookmark)
_encoder = msgspec.msgpack.Encoder()


class Seal:
    """Signs bookmarks and opens signed ones; `refused` counts those that were not ours."""

    def __init__(self, directory: Database) -> None:
        self.refused = 0
        self._directory = directory
        self._keys: dict[bytes, bytes] = {}
        self._signing = b""
        self._signing_since = 0.0
        self._reloaded = 0.0
        self._opened: dict[str, Bookmark] = {}
        self._closed: tuple[Bookmark | None, bytes, str] = None, b"", ""

    async def close(self, bookmark: Bookmark) -> str:
        """A bookmark as text. Raises `DataUnavailable` where no key can be had."""
        if time.time() - self._signing_since >= _KEY_SECONDS:
            await self._renew()
        return self.closed(bookmark)

    def closed(self, bookmark: Bookmark) -> str:
        """The same with a key that is here already; empty where there is none yet."""
        if not self._signing:
            return ""
        known, key, text = self._closed
        if known != bookmark or key != self._signing:
            body = _VERSION + self._signing + _encoder.encode(bookmark)
            text = base64.urlsafe_b64encode(body + _signed(body, self._keys[self._signing])).rstrip(b"=").decode()
            self._closed = bookmark, self._signing, text
        return text

    async def open(self, text: str) -> Bookmark:
        """The bookmark of a text; `EVERYWHERE` for one that is not ours. Raises `DataUnavailable` as `close`."""
        known = self._opened.get(text)
        if known is not None:
            return known
        found = await self._checked(text) if len(text) <= _TEXT_LIMIT else None
        if found is None:
            self.refused += 1
            return EVERYWHERE
        if len(self._opened) >= _OPENED:
            self._opened.clear()
        self._opened[text] = found
        return found

    async def _checked(self, text: str) -> Bookmark | None:
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        body, mac = signed[:-_MAC], signed[-_MAC:]
        name = body[1 : 1 + _KEY_NAME]
        if body[:1] != _VERSION:
            return None
        if name not in self._keys:
            await self._reload()
        key = self._keys.get(name)
        if key is None or not hmac.compare_digest(mac, _signed(body, key)):
            return None
        try:
            return _decoder.decode(body[1 + _KEY_NAME :])
        except msgspec.MsgspecError:
            return None

    async def _renew(self) -> None:
        """Sign with the newest key; make one where that has had its day."""
        await self._load()
        now = time.time()
        if now - self._signing_since < _KEY_SECONDS:
            return
        row = {"name": f"bookmark:{secrets.token_hex(_KEY_NAME)}", "value": secrets.token_hex(32), "now": now}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_bookmark_key"], row)
            await tx.execute(QUERIES["drop_bookmark_keys"], {"before": now - _KEPT_SECONDS})

        await self._directory.write(work)
        await self._load()

    async def _reload(self) -> None:
        now = time.monotonic()
        if now - self._reloaded >= _RELOAD_SECONDS:
            self._reloaded = now
            await self._load()

    async def _load(self) -> None:
        rows = await self._directory.read(QUERIES["read_bookmark_keys"])
        self._keys = {bytes.fromhex(row["name"].partition(":")[2]): bytes.fromhex(row["value"]) for row in rows}
        if rows:
            self._signing, self._signing_since = bytes.fromhex(rows[-1]["name"].partition(":")[2]), rows[-1]["since"]


def _signed(body: bytes, key: bytes) -> bytes:
    """The first 128 bits of the HMAC: as hard to guess as the whole (RFC 2104, section 5), and half as long."""
    return hmac.digest(key, body, hashlib.sha256)[:_MAC]
