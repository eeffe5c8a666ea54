"""Idempotency-Key: a POST that is repeated under the same key is answered as the first time, and done once.

The key is claimed before the work begins. A second request that arrives meanwhile is told to come back; one with
another body under the key is refused. An answer that is an error frees the key, so that a corrected or later
request may use it. Answers are kept for a day. A process that dies in between leaves the claim until it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.web.routing import Answer, Call

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.web.tool import Tool

QUERIES = load_queries(__package__)

CLAIM_SECONDS = 120.0
"""How long a claim holds without an answer, unless the call may take longer."""
_KEPT_SECONDS = 86400.0


async def idempotent(
    call: Call[Any],
    name: str,
    fingerprint: str,
    produce: Callable[[], Awaitable[Answer]],
    claim_seconds: float = CLAIM_SECONDS,
) -> Answer:
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
        values = {**claim, "fingerprint": fingerprint, "now": now, "expires_at": now + claim_seconds}
        taken = await tx.execute(QUERIES["reserve_answer"], values)
        return None if taken else await tx.one(QUERIES["find_answer"], claim)

    kept = await database.write(reserve)
    if kept is not None:
        return _repeated(kept, fingerprint)
    try:
        answer = await produce()
    except BaseException:
        await database.write(_run("release_answer", claim))
        raise
    text = msgspec.json.encode([answer.value, answer.headers]).decode()
    values = {**claim, "status": answer.status, "answer": text, "expires_at": clock.now() + _KEPT_SECONDS}
    await database.write(_run("keep_answer", values))
    return answer


async def prune_answers(tool: Tool) -> None:
    """Forget answers whose day has passed; for a root task."""
    for shard in tool.shards.all():
        await shard.write(_run("drop_old_answers", {"now": tool.clock.now()}))


def _repeated(kept: Row, fingerprint: str) -> Answer:
    if kept["fingerprint"] != fingerprint:
        raise errors.Conflict("this Idempotency-Key was used for another request")
    if not kept["status"]:
        raise errors.Conflict("the first request under this Idempotency-Key is still under way", retry_after=2)
    value, headers = msgspec.json.decode(kept["answer"])
    return Answer(value, kept["status"], headers)


def _run(query: str, values: dict[str, Any]) -> Callable[[Transaction], Awaitable[None]]:
    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES[query], values)

    return work
