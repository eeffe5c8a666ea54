"""One leader among the processes that could scale, by a lease in the directory with a token that fences its writes.

Guarantees, whatever the clocks of machines and databases do:
- A follower takes the lease over only after it has stood still for its whole length by the follower's own monotonic
  clock, or was let go. No time of day is compared.
- A leader that could not renew it knows that by its own monotonic clock, a third of the length before anybody takes
  over.
- The token grows with every new leader. `fence` in a unit of work refuses an older one, and keeps the lease from being
  taken over until that work has ended: what two leaders write never mixes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog

from atomic_guide import errors
from atomic_guide.clock import Clock, SystemClock
from atomic_guide.engines.data.queries import load_queries

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

T = TypeVar("T")

QUERIES = load_queries(__package__, "acting.sql")
_log = structlog.get_logger(__name__)

LEASE_SECONDS = 15.0
"""How long the lease stands still before another takes it: scaling may pause for one tick, and no shorter pause of a
busy machine makes a new leader."""

_NAME = "scaling"
_PARTS = 3
"""A lease is renewed this often in its length, and given up by its holder one such part before it ends."""
_CANCEL_SECONDS = 1.0


class Deposed(errors.Unavailable):
    """What only the leader may do was tried without the lead: another finishes what was begun."""


class Lease(NamedTuple):
    """Who leads, as everybody sees it. `until` is by the database's clock."""

    owner: str
    token: int
    beat: int
    until: float
    now: float


class Leader:
    """A process's claim to lead. `owner` names it to people; a random end tells it from every other."""

    def __init__(
        self, directory: Database, owner: str, clock: Clock | None = None, seconds: float = LEASE_SECONDS
    ) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._seconds = seconds
        self._seen: tuple[int, int] | None = None
        self._seen_at = 0.0
        self._good_until = 0.0
        self._was_leading = False
        # A renewal that is answered after the lease was let go would bring it back to life.
        self._asking = asyncio.Lock()
        self.owner = f"{owner}-{secrets.token_hex(3)}"
        self.token = 0

    @property
    def leading(self) -> bool:
        """Whether nobody else can lead at this moment."""
        return bool(self.token) and self._clock.monotonic() < self._good_until

    async def keep(self) -> None:
        """Campaign and renew until cancelled; for a root task. Errors of the directory are logged and cost the lead."""
        pause = self._seconds / _PARTS
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self.campaign()
            except (errors.GuideError, TimeoutError) as error:
                _log.warning("the lease of scaling could not be asked for", error=str(error) or "no answer in time")
            self._tell()
            await asyncio.sleep(pause)

    async def campaign(self) -> bool:
        """Renew the lease, or take it where it may be taken; whether this process leads."""
        async with self._asking:
            began = self._clock.monotonic()
            token = await self._renewed(self.token) if self.token else 0
            if not token:
                self.token = 0
                token = await self._taken(began)
            if token:
                self.token = token
                # From before the request: whoever looks at the row cannot have seen it earlier.
                self._good_until = began + self._seconds * (_PARTS - 1) / _PARTS
        return self.leading

    async def step_down(self) -> None:
        """Let the lease go, so that another leads at once. What is under way is left to it."""
        self._good_until = 0.0
        try:
            async with asyncio.timeout(self._seconds / _PARTS), self._asking:
                params, self.token, self._good_until = self._mine(self.token), 0, 0.0
                if params["token"]:
                    await self._directory.write(lambda tx: tx.execute(QUERIES["release_lease"], params))
        except (errors.GuideError, TimeoutError) as error:
            _log.warning("the lease of scaling runs out by itself", error=str(error) or "no answer in time")

    async def fence(self, tx: Transaction) -> int:
        """The token, held until the unit of work ends. Raises `Deposed` where it is not the newest, or never was."""
        token = self.token
        if not self.leading or not await tx.read(QUERIES["hold_lease"], self._mine(token)):
            raise Deposed("this process does not lead scaling any more; the new leader goes on")
        return token

    async def while_leading(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """The answer of `work`, cancelled when the lead is lost. Raises `Deposed`, or TimeoutError after `seconds`."""
        task = asyncio.ensure_future(work)
        deadline = self._clock.monotonic() + seconds
        try:
            while not task.done():
                if not self.leading:
                    raise Deposed("the lead was lost in the middle of an act; the new leader goes on")
                left = min(deadline, self._good_until) - self._clock.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no answer within {seconds:.0f} s")
                await asyncio.wait({task}, timeout=left)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_SECONDS)

    async def _renewed(self, token: int) -> int:
        rows = await self._directory.write(lambda tx: tx.execute(QUERIES["renew_lease"], self._timed(token)))
        return token if rows else 0

    async def _taken(self, now: float) -> int:
        lease = await look(self._directory)
        if lease is None:
            await self._directory.write(lambda tx: tx.execute(QUERIES["add_lease"], {"name": _NAME}))
            lease = await look(self._directory)
        if lease is None:
            return 0
        if lease.owner == self.owner:
            # The answer to an earlier request was lost.
            return await self._renewed(lease.token)
        seen = (lease.token, lease.beat)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        if lease.owner and now - self._seen_at < self._seconds:
            return 0
        params = {**self._timed(lease.token), "beat": lease.beat}
        rows = await self._directory.write(lambda tx: tx.read(QUERIES["take_lease"], params))
        return int(rows[0]["token"]) if rows else 0

    def _mine(self, token: int) -> dict[str, Any]:
        return {"name": _NAME, "token": token, "owner": self.owner}

    def _timed(self, token: int) -> dict[str, Any]:
        return {**self._mine(token), "seconds": self._seconds}

    def _tell(self) -> None:
        if self.leading != self._was_leading:
            self._was_leading = self.leading
            _log.info("this process leads scaling" if self.leading else "this process no longer leads scaling")


async def look(directory: Database) -> Lease | None:
    """Who leads; None where nobody ever has."""
    row = await directory.one(QUERIES["read_lease"], {"name": _NAME})
    return None if row is None else Lease(row["owner"], row["token"], row["beat"], row["until"], row["now"])
