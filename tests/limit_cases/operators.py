"""Operators: wrong tokens, sessions."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.operations.operators.model import TOKEN
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
