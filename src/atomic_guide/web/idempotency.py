"""Idempotency-Key: a POST that is repeated under the same key is answered as the first time, and done once.

The key is claimed before the work begins, and the claim is renewed while the work goes on, so that it ends soon
after the process that held it. A second request that arrives meanwhile is told to come back; one with another body
under the key is refused. An answer that is an error frees the key, so that a corrected or later request may use it.
Answers are kept for a day, those to members in their course's shard, those to operators in the directory.

A claim has a mark. Whoever takes over the claim of a process that died finds the same mark, and what was made under
it, if the process came that far: work that makes something calls it by the mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.web.routing import Answer, Call, Claim, Whose

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.web.settings import RepeatSettings

QUERIES = load_queries(__package__)
_log = structlog.get_logger(__name__)

_RENEWALS = 4
"""Renewals of a claim in its life: three may fail."""

Whole = Callable[[], Awaitable[str]]
"""Reads a body to its end, where that is not done yet, and tells what it was."""


class Hashed:
    """A body that is read in pieces, and what it was in the end; `whole` reads what nobody has read."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._digest = hashlib.sha256()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self._digest.update(piece)
        return piece

    async def whole(self) -> str:
        """The digest of all of it, SHA-256."""
        async for _piece in self:
            pass
        return self._digest.hexdigest()


class _Place(NamedTuple):
    """Where an answer is kept: the database, the names of its queries, the columns that say whose key it is."""

    database: Any
    kind: str
    columns: dict[str, Any]


class Answers:
    """The answers of an installation that are given again."""

    def __init__(self, shards: Shards, clock: Clock, settings: RepeatSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings

    async def once(
        self,
        call: Call[Any],
        whose: Whose | None,
        name: str,
        early: str,
        produce: Callable[[], Awaitable[Answer]],
        whole: Whole | None = None,
    ) -> Answer:
        """The answer of `produce`, or the kept one where the request's Idempotency-Key was answered before.

        `whose` is the person, or None for operators; `name` is the call's. `early` tells one request from another
        before its body is read, `whole` afterwards. Without the header this is `await produce()`. Raises `Conflict`
        with `retry_after` while the first request is under way, `KeyReused` for another request under the key.
        """
        key = call.idempotency_key
        if key is None:
            return await produce()
        place = self._place(whose, name, key)
        found = await self._claim(place, early)
        if not isinstance(found, Claim):
            return await _repeated(found, early, whole)
        call.claim = found
        renewing = asyncio.create_task(self._renew(place))
        try:
            answer = await produce()
        except BaseException:
            # Without an answer the claim ends by itself; the caller is owed the first error, not this one.
            with contextlib.suppress(errors.GuideError):
                await self._run(place, "release", {})
            raise
        finally:
            renewing.cancel()
        text = msgspec.json.encode([answer.value, answer.headers]).decode()
        until = self._clock.now() + self._settings.kept_hours * 3600
        values = {"status": answer.status, "answer": text, "expires_at": until}
        try:
            values["fingerprint"] = f"{early}\n{await whole()}" if whole is not None else early
            await self._run(place, "keep", values)
        except errors.GuideError as error:
            _log.warning("an answer could not be kept", call=name, code=error.code)
        return answer

    async def prune(self) -> None:
        """Forget answers whose day has passed, and the claims of processes that died as long ago; for a root task."""
        now = self._clock.now()
        values = {"now": now, "before": now - self._settings.kept_hours * 3600}

        async def shard_work(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_old_answers"], values)

        async def directory_work(tx: Transaction) -> None:
            await tx.execute(QUERIES["drop_old_operator_answers"], values)

        await self._shards.directory.write(directory_work)
        for shard in self._shards.all():
            await shard.write(shard_work)

    def _place(self, whose: Whose | None, name: str, key: str) -> _Place:
        if whose is None:
            return _Place(self._shards.directory, "operator_answer", {"call": name, "key": key})
        columns = {**whose.key.columns, "user": whose.user, "call": name, "key": key}
        return _Place(self._shards.of(whose.key), "answer", columns)

    async def _claim(self, place: _Place, early: str) -> Claim | Row:
        """A claim, or the row of an answer that was kept. Raises as `once`."""
        mark = secrets.token_hex(8)

        async def work(tx: Transaction) -> Claim | Row | None:
            now = self._clock.now()
            values = {
                **place.columns,
                "fingerprint": early,
                "mark": mark,
                "now": now,
                "before": now - self._settings.kept_hours * 3600,
                "expires_at": now + self._settings.claim_seconds,
            }
            if await tx.execute(QUERIES[f"reserve_{place.kind}"], values):
                return Claim(mark)
            if await tx.execute(QUERIES[f"take_over_{place.kind}"], values):
                row = await tx.one(QUERIES[f"find_{place.kind}"], place.columns)
                return Claim(row["answer"], taken_over=True) if row else None
            return await tx.one(QUERIES[f"find_{place.kind}"], place.columns)

        found: Claim | Row | None = await place.database.write(work)
        if isinstance(found, Claim):
            return found
        if found is not None and found["status"]:
            return found
        if found is not None and found["fingerprint"] != early and found["expires_at"] <= self._clock.now():
            raise _other()
        # While it is under way whatever its body: a request that fails frees its key for any other.
        raise errors.Conflict("the first request under this Idempotency-Key is still under way", retry_after=2)

    async def _renew(self, place: _Place) -> None:
        """Keep a claim alive until cancelled."""
        while True:
            await asyncio.sleep(self._settings.claim_seconds / _RENEWALS)
            with contextlib.suppress(errors.GuideError):
                await self._run(place, "renew", {"expires_at": self._clock.now() + self._settings.claim_seconds})

    async def _run(self, place: _Place, verb: str, values: dict[str, Any]) -> None:
        query = QUERIES[f"{verb}_{place.kind}"]

        async def work(tx: Transaction) -> None:
            await tx.execute(query, {**place.columns, **values})

        await place.database.write(work)


async def _repeated(kept: Row, early: str, whole: Whole | None) -> Answer:
    first, _, rest = kept["fingerprint"].partition("\n")
    if first != early or (whole is not None and await whole() != rest):
        raise _other()
    value, headers = msgspec.json.decode(kept["answer"])
    return Answer(value, kept["status"], headers)


def _other() -> errors.KeyReused:
    return errors.KeyReused("this Idempotency-Key was used for another request; send each request under its own")
