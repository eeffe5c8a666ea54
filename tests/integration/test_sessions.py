"""Codes, tokens and tickets over a real directory database."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import Forbidden, Unauthenticated
from atomic_guide.web.sessions import Session, Sessions
from atomic_guide.web.settings import SessionSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    path = tmp_path / "directory.sqlite"
    upgrade_file(path, "directory")
    database = SqliteDatabase(path)
    yield database
    await database.close()


@pytest.fixture
def sessions(directory: SqliteDatabase, clock: ManualClock) -> Sessions:
    return Sessions(directory, clock, SessionSettings())


def somebody(clock: ManualClock, role: str = "learner") -> Session:
    return Session(
        tenant="t1",
        course="c1",
        bucket=7,
        user="u-1",
        name="Student 1",
        role=role,  # type: ignore[arg-type]
        locale="en",
        title="Waves",
        ends_at=clock.now() + 12 * 3600,
    )


async def test_a_code_becomes_a_token_that_says_who_calls(sessions: Sessions, clock: ManualClock) -> None:
    tokens = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    assert tokens.expires_in == 900
    assert await sessions.verify(tokens.token) == somebody(clock)
    assert await sessions.access({"authorization": f"Bearer {tokens.token}"}, "course") == somebody(clock)


async def test_one_of_many_uses_of_a_code_wins(sessions: Sessions, clock: ManualClock) -> None:
    code = await sessions.issue_code(somebody(clock))
    outcomes = await asyncio.gather(*(sessions.exchange(code) for _ in range(100)), return_exceptions=True)
    assert sum(not isinstance(outcome, Unauthenticated) for outcome in outcomes) == 1


async def test_a_retry_with_the_same_idempotency_key_is_answered_again(sessions: Sessions, clock: ManualClock) -> None:
    code = await sessions.issue_code(somebody(clock))
    await sessions.exchange(code, "retry-1")
    assert (await sessions.exchange(code, "retry-1")).session == somebody(clock)
    with pytest.raises(Unauthenticated):
        await sessions.exchange(code, "retry-2")


async def test_the_same_key_is_the_same_ticket_of_the_same_person(sessions: Sessions, clock: ManualClock) -> None:
    who = somebody(clock)
    ticket = await sessions.issue_code(who, "ticket", "k")
    assert await sessions.issue_code(who, "ticket", "k") == ticket
    others = [
        await sessions.issue_code(replace(who, user="another"), "ticket", "k"),
        await sessions.issue_code(replace(who, course="another"), "ticket", "k"),
        await sessions.issue_code(who, "resume", "k"),
        await sessions.issue_code(who, "ticket", "k2"),
    ]
    assert len({ticket, *others}) == 5
    assert await sessions.redeem_ticket(ticket) == who
    assert await sessions.issue_code(who, "ticket", "k") == ticket
    with pytest.raises(Unauthenticated):
        await sessions.redeem_ticket(ticket)


async def test_a_repeated_refresh_makes_no_second_resume_code(sessions: Sessions, clock: ManualClock) -> None:
    first, second = [await sessions.refresh(somebody(clock), "k") for _ in range(2)]
    assert first.resume == second.resume
    assert (await sessions.exchange(second.resume)).session == somebody(clock)


async def test_a_code_ends_after_a_minute(sessions: Sessions, clock: ManualClock) -> None:
    code = await sessions.issue_code(somebody(clock))
    clock.advance(61)
    with pytest.raises(Unauthenticated):
        await sessions.exchange(code)


async def test_a_token_ends_after_a_quarter_of_an_hour(sessions: Sessions, clock: ManualClock) -> None:
    tokens = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    await sessions.verify(tokens.token)
    clock.advance(901)
    with pytest.raises(Unauthenticated, match="expired"):
        await sessions.verify(tokens.token)


async def test_a_sleeping_laptop_comes_back_with_its_resume_code(sessions: Sessions, clock: ManualClock) -> None:
    tokens = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    clock.advance(8 * 3600)
    again = await sessions.exchange(tokens.resume)
    assert again.session.user == "u-1"
    with pytest.raises(Unauthenticated):
        await sessions.exchange(tokens.resume)
    clock.advance(5 * 3600)
    with pytest.raises(Unauthenticated):
        await sessions.exchange(again.resume)


async def test_a_ticket_is_no_code_and_a_code_no_ticket(sessions: Sessions, clock: ManualClock) -> None:
    code = await sessions.issue_code(somebody(clock))
    ticket = await sessions.issue_code(somebody(clock), "ticket")
    with pytest.raises(Unauthenticated):
        await sessions.exchange(ticket)
    with pytest.raises(Unauthenticated):
        await sessions.redeem_ticket(code)
    assert (await sessions.redeem_ticket(ticket)).user == "u-1"
    with pytest.raises(Unauthenticated):
        await sessions.redeem_ticket(ticket)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzIjp7fX0.", "eyJhbGciOiJIUzI1NiIsImtpZCI6InoifQ.e30.AA"]
)
async def test_a_forged_token_is_refused(sessions: Sessions, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await sessions.verify(token)


async def test_a_token_of_another_installation_is_refused(
    sessions: Sessions, clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "other.sqlite"
    upgrade_file(path, "directory")
    other = SqliteDatabase(path)
    foreign = Sessions(other, clock, SessionSettings())
    tokens = await foreign.exchange(await foreign.issue_code(somebody(clock)))
    with pytest.raises(Unauthenticated):
        await sessions.verify(tokens.token)
    await other.close()


async def test_a_new_key_signs_while_the_old_one_is_still_honoured(
    sessions: Sessions, directory: SqliteDatabase, clock: ManualClock
) -> None:
    first = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    clock.advance(86400 - 60)
    late = await sessions.refresh(somebody(clock))
    clock.advance(120)
    fresh = await sessions.refresh(somebody(clock))
    await sessions.prune()
    elsewhere = Sessions(directory, clock, SessionSettings())
    assert (await elsewhere.verify(late.token)).user == "u-1"
    assert (await elsewhere.verify(fresh.token)).user == "u-1"
    assert late.token.split(".")[0] != fresh.token.split(".")[0]
    with pytest.raises(Unauthenticated):
        await elsewhere.verify(first.token)


async def test_roles_are_kept_apart(sessions: Sessions, clock: ManualClock) -> None:
    learner = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    headers = {"authorization": f"Bearer {learner.token}"}
    with pytest.raises(Forbidden):
        await sessions.access(headers, "instructor")
    with pytest.raises(Unauthenticated):
        await sessions.access({"authorization": "Bearer operator-token-for-tests"}, "course")
    with pytest.raises(Unauthenticated):
        await sessions.access({}, "course")


@pytest.mark.parametrize("head", ["[" * 6000, '{"kid": ["a"]}', "[]", "7"])
async def test_a_header_of_a_token_that_is_not_one_is_refused(sessions: Sessions, head: str) -> None:
    token = base64.urlsafe_b64encode(head.encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        await sessions.verify(f"{token}.e30.x")


async def test_tokens_of_nobody_are_no_load_on_the_database(
    sessions: Sessions, directory: SqliteDatabase, clock: ManualClock
) -> None:
    elsewhere = Sessions(directory, clock, SessionSettings())
    with pytest.raises(Unauthenticated):
        await elsewhere.verify("eyJhbGciOiJIUzI1NiIsImtpZCI6InoifQ.e30.AA")
    good = await sessions.exchange(await sessions.issue_code(somebody(clock)))
    # A key that was made within the same second is known a second later, not never.
    clock.advance(1)
    assert (await elsewhere.verify(good.token)).user == "u-1"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_process_that_has_just_started_knows_every_token_of_a_crowd(
    engine: str, tmp_path: Path, postgres_cluster: Cluster, clock: ManualClock
) -> None:
    async with opened_database(engine, tmp_path, postgres_cluster) as directory:
        before = Sessions(directory, clock, SessionSettings())
        tokens = await before.exchange(await before.issue_code(somebody(clock)))
        started = Sessions(directory, clock, SessionSettings())
        found = await asyncio.gather(*(started.verify(tokens.token) for _ in range(30)))
    assert found == [somebody(clock)] * 30
