"""Invitations to register: one-time secrets that an operator gives to the administrator of an LMS."""

from __future__ import annotations

import secrets

from atomic_guide.clock import Clock
from atomic_guide.course.lti.logins import digest
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.registration import QUERIES
from atomic_guide.engines.data.database import Database, Transaction

LIFE_SECONDS = 7 * 86_400
"""A week: administrators of an LMS are not on call."""


class Invitations:
    """The store of invitations; only digests are kept."""

    def __init__(self, directory: Database, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def issue(self, seconds: float = LIFE_SECONDS) -> str:
        """A new invitation."""
        invitation = secrets.token_urlsafe(24)
        row = {"digest": digest(invitation), "expires_at": self._clock.now() + seconds}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_invitation"], row)

        await self._directory.write(work)
        return invitation

    async def check(self, invitation: str) -> None:
        """Raise `Refused` unless the invitation is still good."""
        params = {"digest": digest(invitation), "now": self._clock.now()}
        if await self._directory.one(QUERIES["find_invitation"], params) is None:
            raise Refused(Refusal.LTI_REGISTRATION_CLOSED)

    async def use(self, invitation: str) -> None:
        """Use an invitation up, once. Raises `Refused`."""
        params = {"digest": digest(invitation), "now": self._clock.now()}

        async def work(tx: Transaction) -> bool:
            return await tx.one(QUERIES["use_invitation"], params) is not None

        if not await self._directory.write(work):
            raise Refused(Refusal.LTI_REGISTRATION_CLOSED)
