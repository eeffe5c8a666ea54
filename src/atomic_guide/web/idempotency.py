"""Idempotency-Key: a POST that is repeated under the same key is answered as the first time, and done once.

The key is claimed before the work begins, and the claim is renewed while the work goes on, so that it ends soon
after the process that held it. A second request that arrives meanwhile is told to come back; one with another body
under the key is refused. An answer that is an error frees the key, so that a corrected or later request may use it.
Answers are kept for a day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.web.routing import Answer, Call

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.web.tool import Tool

QUERIES = load_queries(__package__)
_log = structlog.get_logger(__name__)

_CLAIM_SECONDS = 60.0
"""How long a claim holds after its last renewal: this long a retry waits after a crash."""
_RENEWAL_SECONDS = 15.0
_KEPT_SECONDS = 86400.0


async def idempotent(call: Call[Any], name: str, fingerprint: str, produce: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of `produce`, or the kept one where the request's Idempotency-Key was answered before.

    `name` is the call's, `fingerprint` what tells one body from another. Without the header this is
    `await produce()`. Raises `Conflict`: with `retry_after` while the first request is under way, without it for
    another body under the key.
    """
    key = call.idempotency_key
    if key is None:
        return await produce()
    session, clock = call.session, call.tool.clock
    database = call.tool.shards.of(session.key)
    claim = {**session.key.columns, "user": session.user, "call": name, "key": key}

    async def reserve(tx: Transaction) -> Row | None:
        now = clock.now()
        values = {**claim, "fingerprint": fingerprint, "now": now, "expires_at": now + _CLAIM_SECONDS}
        taken = await tx.execute(QUERIES["reserve_answer"], values)
        return None if taken else await tx.one(QUERIES["find_answer"], claim)

    kept = await database.write(reserve)
    if kept is not None:
        return _repeated(kept, fingerprint)
    renewing = asyncio.create_task(_renew(call, claim))
    try:
        answer = await produce()
    except BaseException:
        # Without an answer the claim ends by itself; the caller is owed the first error, not this one.
        with contextlib.suppress(errors.GuideError):
            await database.write(_run("release_answer", claim))
        raise
    finally:
        renewing.cancel()
    text = msgspec.json.encode([answer.value, answer.headers]).decode()
    values = {**claim, "status": answer.status, "answer": text, "expires_at": clock.now() + _KEPT_SECONDS}
    try:
        await database.write(_run("keep_answer", values))
    except errors.GuideError as error:
        _log.warning("an answer could not be kept", call=name, code=error.code)
    return answer


async def _renew(call: Call[Any], claim: dict[str, Any]) -> None:
    """Keep a claim alive until cancelled."""
    database = call.tool.shards.of(call.session.key)
    while True:
        await asyncio.sleep(_RENEWAL_SECONDS)
        values = {**claim, "expires_at": call.tool.clock.now() + _CLAIM_SECONDS}
        with contextlib.suppress(errors.GuideError):
            await database.write(_run("renew_claim", values))


async def prune_answers(tool: Tool) -> None:
    """Forget answers whose day has passed; for a root task."""
    for shard in tool.shards.all():
        await shard.write(_run("drop_old_answers", {"now": tool.clock.now()}))


def _repeated(kept: Row, fingerprint: str) -> Answer:
    # First, because a request that fails frees its key for any other.
    if not kept["status"]:
        raise errors.Conflict("the first request under this Idempotency-Key is still under way", retry_after=2)
    if kept["fingerprint"] != fingerprint:
        raise errors.Conflict("this Idempotency-Key was used for another request")
    value, headers = msgspec.json.decode(kept["answer"])
    return Answer(value, kept["status"], headers)


def _run(query: str, values: dict[str, Any]) -> Callable[[Transaction], Awaitable[None]]:
    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES[query], values)

    return work
