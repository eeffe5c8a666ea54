"""Logins that have begun: one row each, used up once, by the browser that began it.

Only digests of state, nonce and browser secret are kept. A used row stays until a while after its expiry, so that a
launch that is posted again is told apart from an unknown one. A flood is bounded twice: by a rate for each address,
and by keeping only the newest `pending_logins` rows.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.lti.limits import LOGINS
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.registration import QUERIES, Platform
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.cache.memory import Memory
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.limit import Used

_KEPT_AFTER_EXPIRY = 300.0
"""Seconds; long enough that somebody who comes back from a coffee reads "expired", not "unknown"."""

_ADDRESSES = 50_000
"""Addresses whose rate is remembered; about 150 bytes each."""


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an LMS sends to `/lti/init`; kept to begin the login again in another window."""

    iss: str
    login_hint: str
    target_link_uri: str
    lti_message_hint: str | None = None
    client_id: str | None = None
    lti_deployment_id: str | None = None
    lti_storage_target: str | None = None
    in_window: bool = False


class Begun(NamedTuple):
    """The secrets of a login that has begun; `binding` is the browser's, the others go through the platform."""

    state: str
    nonce: str
    binding: str
    name: str


class Login(NamedTuple):
    """A pending login as stored; `state` and `nonce` and `binding` are digests."""

    state: str
    nonce: str
    binding: str
    platform: str
    request: LoginRequest


class Logins:
    """The store of logins."""

    def __init__(self, directory: Database, clock: Clock, settings: LtiSettings) -> None:
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._decoder = msgspec.json.Decoder(LoginRequest)
        # Tokens of a bucket and when they were counted, by address.
        self._rates: Memory[str, tuple[float, float]] = Memory(maxsize=_ADDRESSES)

    def check_rate(self, address: str) -> None:
        """Count a login of an address. Raises `Refused` with `retry_after` where it has begun too many."""
        now = self._clock.monotonic()
        most = float(self._settings.logins_per_minute)
        left, counted_at = self._rates.get(address, (most, now))
        left = min(most, left + (now - counted_at) * most / 60)
        if left < 1:
            raise LOGINS.over(Refused(Refusal.LTI_TOO_MANY_LOGINS, retry_after=(1 - left) * 60 / most))
        self._rates[address] = (left - 1, now)

    def used(self) -> Iterator[Used]:
        """What the busiest address has spent of a minute."""
        now, most = self._clock.monotonic(), float(self._settings.logins_per_minute)
        spent = (most - left - (now - counted_at) * most / 60 for left, counted_at in self._rates.values())
        yield Used(LOGINS, max(spent, default=0.0))

    async def begin(self, platform: Platform, request: LoginRequest) -> Begun:
        """Remember a new login and return its secrets."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), "")
        begun = begun._replace(name=binding_name(begun.state))
        row = {
            "state": digest(begun.state),
            "nonce": digest(begun.nonce),
            "binding": digest(begun.binding),
            "platform": platform.id,
            "request": msgspec.json.encode(request).decode(),
            "expires_at": self._clock.now() + self._settings.login_seconds,
        }

        async def work(tx: Transaction) -> None:
            added = await tx.one(QUERIES["add_login"], row)
            if added is not None:
                oldest = added["number"] - self._settings.pending_logins
                await tx.execute(QUERIES["drop_oldest_logins"], {"number": oldest})

        await self._directory.write(work)
        return begun

    async def read(self, state: str | None) -> Login:
        """The pending login of a state, without using it up. Raises `Refused`."""
        if not state:
            raise Refused(Refusal.LTI_STATE_MISSING)
        key = digest(state)
        row = await self._directory.one(QUERIES["read_login"], {"state": key})
        if row is None:
            raise Refused(Refusal.LTI_STATE_UNKNOWN)
        if row["used_at"] is not None:
            raise Refused(Refusal.LTI_STATE_REUSED)
        if row["expires_at"] <= self._clock.now():
            raise Refused(Refusal.LTI_STATE_EXPIRED)
        return Login(key, row["nonce"], row["binding"], row["platform"], self._decoder.decode(row["request"]))

    async def check_nonce(self, login: Login, nonce: str | None) -> None:
        """Raise `Refused` unless the nonce is the login's own."""
        if not nonce:
            raise Refused(Refusal.LTI_NONCE_MISSING)
        key = digest(nonce)
        if hmac.compare_digest(key, login.nonce):
            return
        row = await self._directory.one(QUERIES["find_nonce"], {"nonce": key})
        if row is None:
            raise Refused(Refusal.LTI_NONCE_UNKNOWN)
        raise Refused(Refusal.LTI_NONCE_FOREIGN if row["used_at"] is None else Refusal.LTI_NONCE_REUSED)

    async def use(self, login: Login, binding: str) -> None:
        """Use a login up, in the browser that began it. Exactly one of many concurrent calls returns.

        Raises `Refused`; a login whose secret is not this one stays as it was.
        """
        if not hmac.compare_digest(digest(binding), login.binding):
            raise Refused(Refusal.LTI_BROWSER_FOREIGN)
        params = {"state": login.state, "binding": login.binding, "now": self._clock.now()}

        async def work(tx: Transaction) -> bool:
            return await tx.one(QUERIES["use_login"], params) is not None

        if not await self._directory.write(work):
            row = await self._directory.one(QUERIES["read_login"], {"state": login.state})
            if row is None:
                raise Refused(Refusal.LTI_STATE_UNKNOWN)
            raise Refused(Refusal.LTI_STATE_EXPIRED if row["used_at"] is None else Refusal.LTI_STATE_REUSED)

    async def prune(self) -> None:
        """Forget logins and invitations that expired."""
        now = self._clock.now()

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_expired_logins"], {"before": now - _KEPT_AFTER_EXPIRY})
            await tx.execute(QUERIES["drop_expired_invitations"], {"now": now})

        await self._directory.write(work)


def binding_name(state: str) -> str:
    """What the cookie and the stored value of a login are called, after their prefix: 16 hex digits of the state."""
    return digest(state)[:16]


def digest(secret: str) -> str:
    """What is kept of a secret: SHA-256 as hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
