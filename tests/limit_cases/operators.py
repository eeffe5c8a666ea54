"""Operators: wrong tokens, sessions."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.operations.operators.logins import SignInRefused
from atomic_guide.operations.operators.model import TOKEN
from atomic_guide.web.live import Stream
from tests.integration.test_console_live import opened
from tests.limit_cases import Ground, Reached, answered, fullest, reaches
from tests.limit_cases.web import databases
from tests.operating import operators

_MOST = 10


def asked(address: str = "203.0.113.7") -> Any:
    return SimpleNamespace(client=SimpleNamespace(host=address), headers=httpx.Headers())


@reaches("refused_tokens")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        access = operators(shards.directory, ManualClock(), refused_tokens=_MOST).access
        for _ in range(_MOST):
            with pytest.raises(errors.Unauthenticated):
                access.check_token(asked(), "a-token-of-nobody")
        with pytest.raises(errors.RateLimited) as refused:
            access.check_token(asked(), "a-token-of-nobody")
        return Reached(answered(refused.value), _MOST, fullest(access.used(), "refused_tokens"))


@reaches("operator_sessions")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        made = operators(shards.directory, ManualClock(), most_sessions=_MOST)
        for _ in range(_MOST + 1):
            await made.sessions.begin(TOKEN)
        assert len(await made.sessions.listed(100)) == _MOST
        return Reached("forgets", _MOST, fullest(made.used(), "operator_sessions"))


@reaches("pending_sign_ins")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        clock = ManualClock()
        made = operators(shards.directory, clock, pending_sign_ins=_MOST)
        begun = []
        for _ in range(_MOST + 1):
            begun.append(await made.logins.begin())
            clock.advance(1)
        with pytest.raises(SignInRefused):
            await made.logins.use(begun[0].state, begun[0].binding)
        seen = fullest(made.used(), "pending_sign_ins")
        await made.logins.use(begun[-1].state, begun[-1].binding)
        return Reached("forgets", _MOST, seen)


async def _streams(ground: Ground, name: str, people: list[str], **most: int) -> Reached:
    """Open streams of people until there is no room for the last."""
    async with opened(ground.folder, **most) as site:
        live = site.operators.live
        streams = [Stream(person, None) for person in people]
        for stream in streams[:-1]:
            await live.begin(site.tool, stream, "")
        with pytest.raises(errors.RateLimited) as refused:
            await live.begin(site.tool, streams[-1], "")
        seen = fullest(live.used(), name)
        for stream in streams:
            live.leave(stream)
        return Reached(answered(refused.value), len(people) - 1, seen)


@reaches("console_streams")
async def _(ground: Ground) -> Reached:
    return await _streams(ground, "console_streams", ["ada", "ben", "eve"], streams=2)


@reaches("operator_streams")
async def _(ground: Ground) -> Reached:
    return await _streams(ground, "operator_streams", ["ada", "ada", "ada"], operator_streams=2)
