"""What a repeated POST under one Idempotency-Key is promised, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, Invalid, KeyReused, NotFound
from atomic_guide.web.idempotency import QUERIES, Answers, Hashed
from atomic_guide.web.routing import Answer, Call, Whose
from atomic_guide.web.settings import RepeatSettings
from atomic_guide.web.tool import Tool
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

DAY = 86_400


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        yield shards


class Caller:
    """Somebody who posts, and what that has done so far."""

    def __init__(self, shards: Shards) -> None:
        self.clock = ManualClock()
        self.tool = cast("Tool", SimpleNamespace(clock=self.clock, shards=shards))
        self.answers = Answers(shards, self.clock, RepeatSettings())
        self.done: list[str] = []
        self.marks: list[str] = []
        self.took_over = False

    async def post(
        self, key: str | None, body: str = "body", user: str | None = "u", name: str = "call", *, streamed: bool = False
    ) -> Answer:
        """Post as a member, or as an operator where `user` is None."""
        whose = Whose(CourseKey.of("t", "c"), user) if user is not None else None
        headers = [(b"idempotency-key", key.encode())] if key is not None else []
        call: Call[Any] = Call(Request({"type": "http", "headers": headers}), self.tool, None, None)
        pieces = Hashed(_pieces(body))

        async def produce() -> Answer:
            self.done.append(body)
            if call.claim is not None:
                self.marks.append(call.claim.mark)
                self.took_over = call.claim.taken_over
            if body == "wrong":
                raise NotFound("no")
            return Answer({"number": len(self.done)}, 201, {"Location": f"/{len(self.done)}"})

        early = "text" if streamed else body
        return await self.answers.once(call, whose, name, early, produce, pieces.whole if streamed else None)


async def _pieces(body: str) -> AsyncIterator[bytes]:
    for letter in body:
        yield letter.encode()


@pytest.fixture
def caller(shards: Shards) -> Caller:
    return Caller(shards)


WHO = pytest.mark.parametrize("user", ["u", None], ids=["member", "operator"])


async def test_without_a_key_every_post_is_done(caller: Caller) -> None:
    await caller.post(None)
    await caller.post(None)
    assert len(caller.done) == 2


@WHO
async def test_the_first_answer_is_given_again_for_a_day(caller: Caller, user: str | None) -> None:
    first = await caller.post("k", user=user)
    caller.clock.advance(DAY - 1)
    assert await caller.post("k", user=user) == first
    caller.clock.advance(2)
    assert await caller.post("k", user=user) != first
    assert len(caller.done) == 2


@WHO
async def test_of_many_at_once_one_is_done(caller: Caller, user: str | None) -> None:
    answers = await asyncio.gather(*(caller.post("k", user=user) for _ in range(20)), return_exceptions=True)
    assert len(caller.done) == 1
    assert {type(answer) for answer in answers} <= {Answer, Conflict}
    assert await caller.post("k", user=user) == Answer({"number": 1}, 201, {"Location": "/1"})


async def test_a_key_belongs_to_a_person_and_a_call(caller: Caller) -> None:
    await caller.post("k")
    await caller.post("k", user="v")
    await caller.post("k", name="another")
    assert len(caller.done) == 3


@WHO
@pytest.mark.parametrize("streamed", [False, True])
async def test_another_body_under_the_key_is_refused(caller: Caller, user: str | None, *, streamed: bool) -> None:
    first = await caller.post("k", user=user, streamed=streamed)
    with pytest.raises(KeyReused) as refused:
        await caller.post("k", body="other", user=user, streamed=streamed)
    assert (refused.value.status, refused.value.retry_after) == (422, None)
    assert await caller.post("k", user=user, streamed=streamed) == first


async def test_an_error_frees_the_key(caller: Caller) -> None:
    with pytest.raises(NotFound):
        await caller.post("k", body="wrong")
    assert (await caller.post("k")).status == 201


async def died(caller: Caller, monkeypatch: pytest.MonkeyPatch, user: str | None) -> None:
    """A process does the work and is killed: it neither releases its claim nor keeps an answer."""
    with monkeypatch.context() as killed:
        killed.setattr(caller.answers, "_run", _nothing)
        await caller.post("k", user=user)


async def _nothing(*_: object) -> None:
    pass


@WHO
async def test_a_claim_is_taken_over_with_its_mark(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    await died(caller, monkeypatch, user)
    with pytest.raises(Conflict) as refused:
        await caller.post("k", user=user)
    assert refused.value.retry_after
    caller.clock.advance(61)
    assert (await caller.post("k", user=user)).status == 201
    assert caller.took_over
    assert len(set(caller.marks)) == 1


@WHO
async def test_another_body_takes_no_claim_over(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    await died(caller, monkeypatch, user)
    caller.clock.advance(61)
    with pytest.raises(KeyReused):
        await caller.post("k", body="other", user=user)
    caller.clock.advance(DAY)
    await caller.post("k", body="other", user=user)
    assert not caller.took_over


@WHO
async def test_old_answers_and_claims_are_forgotten(
    caller: Caller, shards: Shards, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    await died(caller, monkeypatch, user)
    await caller.post("another", user=user)
    caller.clock.advance(DAY + 61)
    await caller.answers.prune()
    database = shards.of(CourseKey.of("t", "c")) if user else shards.directory
    query = QUERIES["find_answer" if user else "find_operator_answer"]
    for key in ("k", "another"):
        columns = {**CourseKey.of("t", "c").columns, "user": user, "call": "call", "key": key}
        assert await database.one(query, columns) is None


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "ä"])
async def test_a_key_is_visible_ascii(caller: Caller, key: str) -> None:
    with pytest.raises(Invalid):
        await caller.post(key)
