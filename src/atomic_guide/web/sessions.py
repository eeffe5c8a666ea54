"""Sessions without cookies: one-time codes, short bearer tokens, socket tickets.

A verified launch puts a one-time code into the page; the page's script exchanges it for a token that lives
15 minutes in memory, and for a one-time resume code that brings the session back after a reload or a night's
sleep. Codes and tickets are rows of the directory database (their digests only), so exactly one of many
concurrent uses wins, whichever process it reaches. Tokens are JWTs (HS256) signed with a rotating key of our
own; nothing is asked of a database to check one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from atomic_guide import errors
from atomic_guide.course.keeping.key import keeping_key, person_digest
from atomic_guide.engines.cache.memory import Memory
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.web.sealed import Kept, seal, unsealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.web.routing import Access
    from atomic_guide.web.settings import SessionSettings

QUERIES = load_queries(__package__)

Role = Literal["instructor", "learner", "operator"]
CodeKind = Literal["launch", "resume", "ticket"]


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who calls, and in which course. `ends_at` is when the LMS has to launch again, seconds since the epoch.

    `region` is where it was launched. A socket's ticket carries the region that gave it, and the `bookmark` of the call
    that asked for it.
    """

    tenant: str
    course: str
    bucket: int
    user: str
    name: str
    role: Role
    locale: str
    title: str
    ends_at: float
    bookmark: str = ""
    region: str = ""

    @property
    def key(self) -> CourseKey:
        """Where the course's rows are."""
        return CourseKey(self.tenant, self.course, self.bucket)

    @property
    def is_instructor(self) -> bool:
        """Whether the caller teaches the course."""
        return self.role == "instructor"


class Tokens(msgspec.Struct, frozen=True):
    """What a page gets for a code."""

    token: str
    expires_in: int
    resume: str
    session: Session


class Sessions:
    """Issues and checks codes, tokens and tickets."""

    def __init__(self, directory: Database, clock: Clock, settings: SessionSettings) -> None:
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._keys: dict[str, OctKey] = {}
        self._digests = b""
        self._reloaded = 0.0
        self._reading: asyncio.Task[dict[str, OctKey]] | None = None
        self._signing = ""
        self._signing_since = 0.0
        # Whether a session has been ended although its token is still good; set by what knows (web/forgotten.py).
        self.ended: Callable[[Session], bool] = _never
        # Checking a JWT costs about 20 us; a client sends the same token many times in its 15 minutes.
        self._checked: Memory[str, tuple[float, Session]] = Memory(maxsize=20_000)

    async def access(self, headers: Mapping[str, str], access: Access) -> Session:
        """The session of a request that `access` admits. Raises `Unauthenticated` or `Forbidden`."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "send the token as 'Authorization: Bearer ...'"
            raise errors.Unauthenticated(message)
        session = await self.verify(token)
        if access == "instructor" and not session.is_instructor:
            message = "only instructors of this course may do this"
            raise errors.Forbidden(message)
        return session

    def begun_at(self, session: Session) -> float:
        """When a session began with a launch, seconds since the epoch."""
        return session.ends_at - self._settings.session_seconds

    def forget(self) -> None:
        """Keep no session in memory; each is read from its token again."""
        self._checked.clear()

    def new_end(self) -> float:
        """When a session that begins now ends for good, seconds since the epoch."""
        return self._clock.now() + self._settings.session_seconds

    async def issue_code(self, session: Session, kind: CodeKind = "launch", repeat: str | None = None) -> str:
        """A one-time code or ticket for a session; what is stored cannot be turned back into it.

        The same `repeat`, an Idempotency-Key, is the same code of that person in that course.
        """
        now = self._clock.now()
        code = secrets.token_urlsafe(32) if repeat is None else await self._derived(session, kind, repeat, now)
        expires_at = {
            "launch": now + self._settings.code_seconds,
            "ticket": now + self._settings.ticket_seconds,
            "resume": session.ends_at,
        }[kind]
        row = {
            "kind": kind,
            "digest": _digest(code),
            "payload": await self._kept(code, session),
            "expires_at": expires_at,
        }

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_code"], row)

        await self._directory.write(work)
        return code

    async def exchange(self, code: str, idempotency_key: str | None = None) -> Tokens:
        """A token for a launch or resume code. Raises `Unauthenticated` for one that is unknown, used or expired."""
        session = await self._redeem(code, ("launch", "resume"), idempotency_key)
        return await self._tokens(session, f"{idempotency_key} {_digest(code)}" if idempotency_key else None)

    async def refresh(self, session: Session, idempotency_key: str | None = None) -> Tokens:
        """A new token for a session that is still valid; the same key makes no second resume code."""
        return await self._tokens(session, idempotency_key)

    async def redeem_ticket(self, ticket: str) -> Session:
        """The session of a socket ticket, once. Raises `Unauthenticated`."""
        return await self._redeem(ticket, ("ticket",), None)

    async def verify(self, token: str) -> Session:
        """The session of a token. Raises `Unauthenticated` for a forged, foreign or expired one."""
        now = self._clock.now()
        expires_at, known = self._checked.get(token, (0.0, None))
        if known is not None and expires_at > now:
            self._check_ended(known)
            return known
        expires_at, session = await self._decode(token, now)
        self._check_ended(session)
        self._checked[token] = (expires_at, session)
        return session

    async def prune(self) -> None:
        """Forget expired codes and signing keys that no token can need any more."""
        now = self._clock.now()
        keys_before = now - self._settings.key_seconds - self._settings.token_seconds - 3600

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_expired_codes"], {"now": now})
            await tx.execute(QUERIES["drop_old_keys"], {"before": keys_before})

        await self._directory.write(work)

    async def _tokens(self, session: Session, repeat: str | None) -> Tokens:
        now = self._clock.now()
        life = min(self._settings.token_seconds, int(session.ends_at - now))
        if life <= 0:
            message = "the session has ended; open the course again from your LMS"
            raise errors.Unauthenticated(message)
        kid, key = await self._signing_key(now)
        claims = {"exp": int(now) + life, "iat": int(now), "s": msgspec.to_builtins(session)}
        token = jwt.encode({"alg": "HS256", "kid": kid}, claims, key)
        return Tokens(token, life, await self.issue_code(session, "resume", repeat), session)

    async def _derived(self, session: Session, kind: CodeKind, repeat: str, now: float) -> str:
        """A code that only who has our signing key can make, and that the same repeat gives again.

        Kept nowhere, as little as one that is drawn: a kept answer would lay codes open to who reads the database.
        """
        _kid, key = await self._signing_key(now)
        parts = msgspec.json.encode([kind, session.tenant, session.course, session.user, session.role, repeat])
        return base64.urlsafe_b64encode(hmac.digest(key.raw_value, parts, "sha256")).rstrip(b"=").decode()

    async def _redeem(self, code: str, kinds: tuple[CodeKind, ...], idempotency_key: str | None) -> Session:
        params = {"digest": _digest(code), "now": self._clock.now(), "used_by": idempotency_key or secrets.token_hex(8)}

        async def work(tx: Transaction) -> str | None:
            for kind in kinds:
                row = await tx.one(QUERIES["use_code"], {**params, "kind": kind})
                if row is not None:
                    return str(row["payload"])
            return None

        payload = await self._directory.write(work)
        if payload is None:
            message = "this code is unknown, used or expired; open the course again from your LMS"
            raise errors.Unauthenticated(message)
        session = _opened(code, payload)
        self._check_ended(session)
        return session

    async def _kept(self, code: str, session: Session) -> str:
        """What the directory keeps of a session that a code begins."""
        if not self._digests:
            self._digests = await keeping_key(self._directory, self._clock)
        person = person_digest(self._digests, session.tenant, session.user)
        kept = Kept(session.tenant, person, seal(code, msgspec.json.encode(session)))
        return msgspec.json.encode(kept).decode()

    def _check_ended(self, session: Session) -> None:
        if self.ended(session):
            message = "the session has ended; open the course again from your LMS"
            raise errors.Unauthenticated(message)

    async def _decode(self, token: str, now: float) -> tuple[float, Session]:
        try:
            kid = msgspec.json.decode(_header(token)).get("kid", "")
            # A KeyError here is another installation's token, or one whose key has been retired.
            key = self._keys[kid] if kid in self._keys else (await self._reloaded_keys(now))[kid]
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"]).claims
            session = msgspec.convert(claims["s"], Session)
            expires_at = float(claims["exp"])
        except (
            JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError
        ) as error:  # fmt: skip
            message = "the token is not one of ours"
            raise errors.Unauthenticated(message) from error
        if expires_at <= now:
            message = "the token has expired; refresh it or open the course again"
            raise errors.Unauthenticated(message, details={"expired": True})
        return expires_at, session

    async def _signing_key(self, now: float) -> tuple[str, OctKey]:
        if now - self._signing_since >= self._settings.key_seconds:
            await self._load_keys()
        if now - self._signing_since >= self._settings.key_seconds:
            row = {"name": f"session:{secrets.token_hex(6)}", "value": secrets.token_urlsafe(48), "created_at": now}

            async def work(tx: Transaction) -> None:
                await tx.execute(QUERIES["add_secret"], row)

            await self._directory.write(work)
            await self._load_keys()
        return self._signing, self._keys[self._signing]

    async def _reloaded_keys(self, now: float) -> dict[str, OctKey]:
        """The keys read again, at most once a second: tokens of nobody must not become load on the database.

        Those who come while they are read wait for that: a process that has just started knows none.
        """
        if self._reading is None:
            if abs(now - self._reloaded) < 1:
                return self._keys
            self._reading = asyncio.create_task(self._load_keys())
            self._reading.add_done_callback(self._read)
        return await asyncio.shield(self._reading)

    def _read(self, reading: asyncio.Task[dict[str, OctKey]]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._reloaded = self._clock.now()

    async def _load_keys(self) -> dict[str, OctKey]:
        rows = await self._directory.read(QUERIES["read_session_keys"])
        self._keys = {row["name"].partition(":")[2]: OctKey.import_key(row["value"]) for row in rows}
        if rows:
            self._signing, self._signing_since = rows[-1]["name"].partition(":")[2], rows[-1]["created_at"]
        return self._keys


def _opened(code: str, payload: str) -> Session:
    """The session of a code; one that was issued by an earlier release is not sealed."""
    try:
        kept = msgspec.json.decode(payload, type=Kept)
    except msgspec.ValidationError:
        return msgspec.json.decode(payload, type=Session)
    return msgspec.json.decode(unsealed(code, kept.sealed), type=Session)


def _never(session: Session) -> bool:
    del session
    return False


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _header(token: str) -> bytes:
    head = token.partition(".")[0]
    return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
