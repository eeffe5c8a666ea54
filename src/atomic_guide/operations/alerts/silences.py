"""Silences: alerts that match are not told for a time. Operators make and end them; both is written down."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.operations.alerts.limits import SILENCES
from atomic_guide.operations.alerts.matchers import Test, matching, read_matchers
from atomic_guide.operations.alerts.store import QUERIES, Deed, note

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction

MOST_SECONDS = 90 * 86_400.0
"""A silence always ends; for longer than a term there is `enabled = false` of the rule."""

_MOST_KNOWN = 2000
"""Patterns that are kept made; more silences than that are made anew at each look."""

_COMMENT = 500


class Silence(msgspec.Struct, frozen=True):
    """A silence; times are s since the epoch."""

    id: str
    matchers: tuple[str, ...]
    begins_at: float
    ends_at: float
    who: str
    comment: str

    def shown(self, now: float) -> dict[str, object]:
        """As JSON, with whether it is in force."""
        return {
            "id": self.id,
            "matchers": list(self.matchers),
            "state": "active" if now < self.ends_at else "expired",
            "begins_at": iso(self.begins_at),
            "ends_at": iso(self.ends_at),
            "who": self.who,
            "comment": self.comment,
        }


class Silences:
    """The silences of a directory, so many at most; `who` names whoever changes them."""

    def __init__(self, directory: Database, clock: Clock, who: str = "operator", most: int = 1000) -> None:
        self._directory = directory
        self._clock = clock
        self._who = who
        self._most = most

    async def active(self) -> list[Silence]:
        """Those in force, the next to end first."""
        return await self.ending_after(self._clock.now())

    async def ending_after(self, after: float) -> list[Silence]:
        """Those that end after a moment, the ended ones among them included."""
        rows = await self._directory.read(QUERIES["list_silences"], {"after": after, "limit": self._most})
        return [_silence(row) for row in rows]

    async def add(self, matchers: Sequence[str], seconds: float, comment: str, key: str | None = None) -> Silence:
        """Keep alerts quiet for a time. Raises `Invalid`; the same `key` again is the same silence."""
        read = read_matchers(matchers)
        if not read:
            raise errors.Invalid("say which alerts: a rule's name, or matchers such as severity=warning")
        if not 1 <= seconds <= MOST_SECONDS:
            raise errors.Invalid(f"a silence is 1 s to {MOST_SECONDS / 86400:.0f} days, not {seconds:g} s")
        if not comment.strip() or len(comment) > _COMMENT or not comment.isprintable():
            raise errors.Invalid(f"say in 1 to {_COMMENT} characters why they are kept quiet, in one line of text")
        now = self._clock.now()
        name = secrets.token_hex(6) if key is None else hashlib.sha256(f"{self._who} {key}".encode()).hexdigest()[:12]
        made = Silence(name, tuple(one.said for one in read), now, now + seconds, self._who, comment)
        row = {**msgspec.structs.asdict(made), "matchers": msgspec.json.encode(made.matchers).decode()}

        async def work(tx: Transaction) -> None:
            count = await tx.one(QUERIES["count_silences"], {"now": now})
            if count is not None and count["silences"] >= self._most:
                message = f"there are {self._most} silences; end some with `atomic-guide alerts unsilence`"
                raise SILENCES.over(errors.Conflict(message))
            if await tx.execute(QUERIES["add_silence"], row):
                await note(tx, now, self._who, Deed("silenced", details=made.shown(now)))

        await self._directory.write(work)
        return await self.find(name)

    async def end(self, silence: str) -> Silence:
        """End one before its time; again is harmless. Raises `NotFound`."""
        found = await self.find(silence)
        now = self._clock.now()

        async def work(tx: Transaction) -> None:
            if await tx.execute(QUERIES["end_silence"], {"id": silence, "now": now}):
                await note(tx, now, self._who, Deed("unsilenced", details=found.shown(now)))

        await self._directory.write(work)
        return await self.find(silence)

    async def find(self, silence: str) -> Silence:
        """One by its id. Raises `NotFound`."""
        row = await self._directory.one(QUERIES["read_silence"], {"id": silence})
        if row is None:
            raise errors.NotFound(f"there is no silence {silence}; `atomic-guide alerts silences` lists them")
        return _silence(row)


class Silenced:
    """Which alerts silences keep quiet; patterns are made once for the same silences."""

    def __init__(self) -> None:
        self._known: dict[str, Test] = {}

    def by(self, silences: Sequence[Silence], labels: Mapping[str, str], now: float) -> list[str]:
        """The ids of the silences that keep an alert quiet."""
        found = []
        for one in silences:
            if one.id not in self._known:
                if len(self._known) > _MOST_KNOWN:
                    self._known.clear()
                self._known[one.id] = _test(one)
            if one.begins_at <= now < one.ends_at and self._known[one.id](labels):
                found.append(one.id)
        return found


def _test(silence: Silence) -> Test:
    try:
        return matching(read_matchers(silence.matchers))
    except errors.Invalid:
        # Another version took it: an alert too many is told rather than none.
        return lambda _labels: False


def _silence(row: Row) -> Silence:
    own = {name: row[name] for name in ("id", "begins_at", "ends_at", "who", "comment")}
    return Silence(**own, matchers=tuple(msgspec.json.decode(row["matchers"])))
