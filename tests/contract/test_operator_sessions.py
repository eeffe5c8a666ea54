"""Sessions of operators on both engines: how they begin, last and end."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Engine
from atomic_guide.operations.operators.model import TOKEN
from atomic_guide.operations.operators.sessions import SEEN_SECONDS, OperatorSessions
from atomic_guide.operations.operators.settings import OperatorSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

SECRET = "the-token-of-operators"


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def made(directory: Engine, clock: ManualClock, token: str = SECRET, **settings: Any) -> OperatorSessions:
    return OperatorSessions(directory, clock, OperatorSettings(**settings), token)


async def test_a_cookie_is_a_session_in_every_process(directory: Engine, clock: ManualClock) -> None:
    cookie, begun = await made(directory, clock).begin(TOKEN)
    found = await made(directory, clock).find(cookie)
    assert found == begun
    assert found.operator == TOKEN
    assert found.ends_at == clock.now() + 8 * 3600


async def test_what_the_directory_keeps_is_no_cookie(directory: Engine, clock: ManualClock) -> None:
    sessions = made(directory, clock)
    cookie, begun = await sessions.begin(TOKEN)
    assert await sessions.find(begun.key) is None
    assert cookie not in str([session._asdict() for session in await sessions.listed(10)])


async def test_a_session_nobody_uses_ends_and_one_in_use_goes_on_for_a_day(
    directory: Engine, clock: ManualClock
) -> None:
    sessions = made(directory, clock)
    left, _ = await sessions.begin(TOKEN)
    used, _ = await sessions.begin(TOKEN)
    for _ in range(3):
        clock.advance(7 * 3600)
        assert await sessions.find(used) is not None
    assert await sessions.find(left) is None
    clock.advance(3 * 3600)
    assert await sessions.find(used) is None
    await sessions.prune()
    assert await sessions.listed(10) == []


async def test_use_is_written_down_once_a_minute(directory: Engine, clock: ManualClock) -> None:
    sessions = made(directory, clock)
    cookie, begun = await sessions.begin(TOKEN)
    clock.advance(SEEN_SECONDS / 2)
    await sessions.find(cookie)
    assert (await sessions.listed(10))[0].seen_at == begun.begun_at
    clock.advance(SEEN_SECONDS)
    await sessions.find(cookie)
    assert (await sessions.listed(10))[0].seen_at == clock.now()


async def test_another_token_ends_the_sessions_of_the_one_before(directory: Engine, clock: ManualClock) -> None:
    cookie, _ = await made(directory, clock).begin(TOKEN)
    assert await made(directory, clock, "another-token-of-operators").find(cookie) is None


async def test_signing_in_again_ends_the_session_of_the_same_browser(directory: Engine, clock: ManualClock) -> None:
    sessions = made(directory, clock)
    first, _ = await sessions.begin(TOKEN)
    elsewhere, _ = await sessions.begin(TOKEN)
    second, _ = await sessions.begin(TOKEN, first)
    assert await sessions.find(first) is None
    assert await sessions.find(second) is not None
    assert await sessions.find(elsewhere) is not None


async def test_the_session_used_least_recently_ends_where_there_are_too_many(
    directory: Engine, clock: ManualClock
) -> None:
    sessions = made(directory, clock, most_sessions=10)
    cookies = []
    for _ in range(12):
        cookies.append((await sessions.begin(TOKEN))[0])
        clock.advance(1)
    assert [await sessions.find(cookie) is not None for cookie in cookies] == [False] * 2 + [True] * 10
    assert [used.value for used in sessions.used()] == [10]


async def test_ending_is_at_once(directory: Engine, clock: ManualClock) -> None:
    sessions = made(directory, clock)
    cookies = [(await sessions.begin(TOKEN))[0] for _ in range(3)]
    await sessions.end(cookies[0])
    assert [await sessions.find(cookie) is not None for cookie in cookies] == [False, True, True]
    assert await sessions.end_of("token") == 2
    assert await sessions.end_of("token") == 0
    assert await sessions.find(cookies[1]) is None
