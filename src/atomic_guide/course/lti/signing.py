"""Our own keys: published in our key set, used to sign what we send to platforms.

A new key is made when the newest is `key_days` old. It is published at once but signs only after
`key_publish_seconds`, when the platforms' caches know it; an old key stays published as long again, for what it
has signed. Private keys are PEM in the directory database, in a data directory that only its owner may read.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from atomic_guide.clock import Clock
from atomic_guide.course.lti.registration import QUERIES
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.data.database import Database, Transaction

_READ_SECONDS = 5.0
"""How long the keys are believed before they are read again: another process may have made one."""

_BITS = 2048


class _Key(NamedTuple):
    kid: str
    key: RSAKey
    created_at: float


class SigningKeys:
    """The keys of this installation."""

    def __init__(self, directory: Database, clock: Clock, settings: LtiSettings) -> None:
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._keys: list[_Key] = []
        self._read_at = float("-inf")
        self._making = asyncio.Lock()

    async def published(self) -> dict[str, Any]:
        """The key set that platforms fetch: public halves only."""
        keys = await self._current()
        return {
            "keys": [
                {**entry.key.as_dict(private=False), "kid": entry.kid, "alg": "RS256", "use": "sig"} for entry in keys
            ]
        }

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT over the claims, signed with a key that platforms have had time to fetch."""
        keys = await self._current()
        grown = self._clock.now() - self._settings.key_publish_seconds
        # The first key of an installation signs at once: no platform has cached an older set.
        entry = next((one for one in reversed(keys) if one.created_at <= grown), keys[0])
        return jwt.encode({"alg": "RS256", "kid": entry.kid, "typ": "JWT"}, dict(claims), entry.key)

    async def rotate(self) -> None:
        """Make a new key when it is time, and forget those that signed nothing for long. Called now and then."""
        life = self._settings.key_days * 86_400

        async def forget(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_signing_keys"], {"before": self._clock.now() - 2 * life})

        await self._current()
        await self._directory.write(forget)
        await self._read()

    async def _current(self) -> list[_Key]:
        """Every key that is published, the oldest first; never empty."""
        if self._clock.monotonic() - self._read_at >= _READ_SECONDS:
            await self._read()
        if not self._keys or self._clock.now() - self._keys[-1].created_at >= self._settings.key_days * 86_400:
            async with self._making:
                await self._read()
                if not self._keys or self._clock.now() - self._keys[-1].created_at >= self._settings.key_days * 86_400:
                    await self._make()
        return self._keys

    async def _read(self) -> None:
        known = {entry.kid: entry for entry in self._keys}
        rows = await self._directory.read(QUERIES["read_signing_keys"])
        self._keys = []
        for row in rows:
            kid = str(row["name"]).partition(":")[2]
            # Importing a private key costs 50 us or more: each is imported once.
            self._keys.append(known.get(kid) or _Key(kid, RSAKey.import_key(row["value"]), row["created_at"]))
        self._read_at = self._clock.monotonic()

    async def _make(self) -> None:
        # Off the event loop: finding primes takes about 100 ms.
        private = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65_537, key_size=_BITS)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        now = self._clock.now()
        row = {"name": f"lti:{secrets.token_hex(8)}", "value": pem, "created_at": now}

        async def work(tx: Transaction) -> None:
            # Two processes may both have found none: the one that comes second takes the other's.
            rows = await tx.read(QUERIES["read_signing_keys"])
            if not rows or rows[-1]["created_at"] < now - 86_400:
                await tx.execute(QUERIES["add_signing_key"], row)

        await self._directory.write(work)
        await self._read()
