"""Sessions of operators in a browser: one row each, known by the digest of what the cookie holds.

Each request asks the directory, so that whoever is removed, or whose role changes, notices at once, in every process. A
session ends when nobody used it for `idle_seconds`, after `session_seconds` in any case, when it is ended, and one that
began with the operators' token when that token is another.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.limit import Used
from atomic_guide.operations.operators.limits import SESSIONS
from atomic_guide.operations.operators.model import TOKEN, TOKEN_ID, Operator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.operations.operators.settings import OperatorSettings

QUERIES = load_queries(__package__)

SEEN_SECONDS = 60.0
"""A session in use is noted as used so often; the idle limit is that much more exact than anybody needs."""


class Session(NamedTuple):
    """A session that is good now; times are seconds since the epoch. `key` names it in lists and is no secret."""

    key: str
    operator: Operator
    begun_at: float
    seen_at: float
    ends_at: float


class OperatorSessions:
    """The sessions of an installation; `token` is the operators' token, which is known to this process only."""

    def __init__(self, directory: Database, clock: Clock, settings: OperatorSettings, token: str = "") -> None:
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._token = token
        self._counted = 0

    async def begin(self, operator: Operator, before: str | None = None) -> tuple[str, Session]:
        """Begin a session: what goes into the cookie, and the session. The one of the cookie `before` ends."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock.now()
        key, ends_at = digest(cookie), now + self._settings.session_seconds
        row = {
            "digest": key,
            "operator": operator.id,
            "source": operator.source,
            "proof": self._proof(cookie) if operator.id == TOKEN_ID else "",
            "now": now,
            "ends_at": ends_at,
        }

        async def work(tx: Transaction) -> int:
            if before:
                await tx.execute(QUERIES["end_session"], {"digest": digest(before)})
            await tx.execute(QUERIES["begin_session"], row)
            await tx.execute(QUERIES["keep_sessions"], {"most": self._settings.most_sessions})
            counted = await tx.one(QUERIES["count_sessions"])
            return int(counted["sessions"]) if counted else 0

        self._counted = await self._directory.write(work)
        return cookie, self._session(key, operator, now, now, ends_at)

    async def find(self, cookie: str) -> Session | None:
        """The session of a cookie, None where there is none that is good; a good one counts as used."""
        now = self._clock.now()
        key = digest(cookie)
        row = await self._directory.one(QUERIES["find_session"], {"digest": key})
        operator = None if row is None else self._of(row, cookie, now)
        if row is None or operator is None:
            return None
        if now - row["seen_at"] >= SEEN_SECONDS:
            await self._seen(key, now)
        return self._session(key, operator, row["begun_at"], now, row["ends_at"])

    async def still(self, cookies: Collection[str]) -> dict[str, Operator]:
        """Those of some cookies whose sessions are good, and whose they are; being asked is no use of them."""
        if not cookies:
            return {}
        now = self._clock.now()
        rows = await self._directory.read(QUERIES["list_sessions"], {"now": now, "limit": self._settings.most_sessions})
        by_key = {row["digest"]: row for row in rows}
        found = {cookie: by_key.get(digest(cookie)) for cookie in cookies}
        operators = {cookie: self._of(row, cookie, now) for cookie, row in found.items() if row is not None}
        return {cookie: operator for cookie, operator in operators.items() if operator is not None}

    async def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        await self._run("end_session", {"digest": digest(cookie)})

    async def end_of(self, operator: str) -> int:
        """End all sessions of somebody; how many there were."""
        return await self._run("end_sessions_of", {"operator": operator})

    async def listed(self, limit: int) -> list[Session]:
        """The sessions that are good now, those used last first."""
        now = self._clock.now()
        rows = await self._directory.read(QUERIES["list_sessions"], {"now": now, "limit": limit})
        return [
            self._session(
                row["digest"],
                TOKEN if row["operator"] == TOKEN_ID else Operator(row["operator"], row["name"], row["role"], "oidc"),
                *(row["begun_at"], row["seen_at"], row["ends_at"]),
            )
            for row in rows
            if self._good(row, now) and (row["operator"] == TOKEN_ID or row["id"] is not None)
        ]

    async def prune(self) -> None:
        """Forget sessions that have ended."""
        now = self._clock.now()

        async def work(tx: Transaction) -> int:
            await tx.execute(QUERIES["prune_sessions"], {"now": now, "idle": now - self._settings.idle_seconds})
            counted = await tx.one(QUERIES["count_sessions"])
            return int(counted["sessions"]) if counted else 0

        self._counted = await self._directory.write(work)

    def used(self) -> Iterator[Used]:
        """How many sessions there were when this process last looked."""
        yield Used(SESSIONS, self._counted)

    def _of(self, row: Row, cookie: str, now: float) -> Operator | None:
        """Whose a session is; None where it is not good."""
        if not self._good(row, now):
            return None
        if row["operator"] == TOKEN_ID:
            return TOKEN if hmac.compare_digest(row["proof"], self._proof(cookie)) else None
        return Operator(row["operator"], row["name"], row["role"], "oidc") if row["id"] is not None else None

    def _good(self, row: Row, now: float) -> bool:
        return bool(row["ends_at"] > now and row["seen_at"] + self._settings.idle_seconds > now)

    def _session(self, key: str, operator: Operator, begun: float, seen: float, ends: float) -> Session:
        """A session as it is told: it ends when it is over, or sooner where nobody uses it."""
        return Session(key[:12], operator, begun, seen, min(ends, seen + self._settings.idle_seconds))

    async def _seen(self, key: str, now: float) -> None:
        await self._run("see_session", {"digest": key, "now": now})

    async def _run(self, query: str, params: dict[str, object]) -> int:
        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES[query], params)

        return await self._directory.write(work)

    def _proof(self, cookie: str) -> str:
        """Says that the cookie was given for this token, to nobody who has only one of them."""
        return hmac.new(cookie.encode(), self._token.encode(), "sha256").hexdigest()


def digest(secret: str) -> str:
    """What the directory keeps of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
