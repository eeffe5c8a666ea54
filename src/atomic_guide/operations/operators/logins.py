"""Sign-ins at the provider that are under way: one row each, used up once, by the browser that began it.

The state goes through the provider and the binding stays in the browser's cookie; of both only digests are kept, so
that neither a forged way back nor somebody else's browser, nor who reads the database, can end a sign-in.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.limit import Used
from atomic_guide.operations.operators.limits import SIGN_INS
from atomic_guide.operations.operators.sessions import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.operations.operators.settings import OperatorSettings

QUERIES = load_queries(__package__)

LIFE_SECONDS = 600.0
"""How long somebody may take at the provider, with a second factor that has to be found first."""


class SignInRefused(errors.Forbidden):
    """A sign-in at the provider that does not count; the message says why and what to do."""

    code = "SIGN_IN_REFUSED"


class Begun(NamedTuple):
    """The secrets of a sign-in: `state` and `nonce` go through the provider, `binding` and `verifier` never do."""

    state: str
    nonce: str
    binding: str
    verifier: str


class Back(NamedTuple):
    """What is known of a sign-in that came back."""

    nonce: str
    verifier: str


class Logins:
    """The sign-ins of an installation that are under way."""

    def __init__(self, directory: Database, clock: Clock, settings: OperatorSettings) -> None:
        self._directory = directory
        self._clock = clock
        self._most = settings.pending_sign_ins
        self._counted = 0

    async def begin(self) -> Begun:
        """Begin a sign-in; where too many are under way, the oldest is forgotten."""
        begun = Begun(*(secrets.token_urlsafe(32) for _ in range(4)))
        row = {
            "state": digest(begun.state),
            "binding": digest(begun.binding),
            "nonce": begun.nonce,
            "verifier": begun.verifier,
            "expires_at": self._clock.now() + LIFE_SECONDS,
        }

        async def work(tx: Transaction) -> int:
            await tx.execute(QUERIES["begin_login"], row)
            await tx.execute(QUERIES["keep_logins"], {"most": self._most})
            return await _count(tx)

        self._counted = await self._directory.write(work)
        return begun

    async def use(self, state: str, binding: str) -> Back:
        """Use a sign-in up. Raises `SignInRefused` for one that is unknown, used, too old, or of another browser."""

        async def work(tx: Transaction) -> Row | None:
            return await tx.one(QUERIES["use_login"], {"state": digest(state), "binding": digest(binding)})

        row = await self._directory.write(work)
        if row is None:
            raise SignInRefused(
                "this sign-in was used already, or began in another browser or at another address; begin it again"
            )
        if row["expires_at"] <= self._clock.now():
            raise SignInRefused(f"the sign-in took longer than {LIFE_SECONDS / 60:.0f} minutes; begin it again")
        return Back(row["nonce"], row["verifier"])

    async def prune(self) -> None:
        """Forget sign-ins that nobody came back from."""

        async def work(tx: Transaction) -> int:
            await tx.execute(QUERIES["prune_logins"], {"now": self._clock.now()})
            return await _count(tx)

        self._counted = await self._directory.write(work)

    def used(self) -> Iterator[Used]:
        """How many were under way when this process last looked."""
        yield Used(SIGN_INS, self._counted)


async def _count(tx: Transaction) -> int:
    row = await tx.one(QUERIES["count_logins"])
    return int(row["logins"]) if row else 0
