"""What a repeated POST under one Idempotency-Key is promised."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, Invalid, NotFound
from atomic_guide.web.idempotency import idempotent, prune_answers
from atomic_guide.web.routing import Answer, Call
from atomic_guide.web.sessions import Session
from atomic_guide.web.tool import Tool
from tests.engines import installed

DAY = 86_400


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[Shards]:
    shards = await open_embedded(installed(tmp_path, 1), DataSettings(shards=1))
    yield shards
    await shards.close()


class Caller:
    """Somebody who posts, and what that has done so far."""

    def __init__(self, shards: Shards) -> None:
        self.clock = ManualClock()
        self.tool = cast("Tool", SimpleNamespace(clock=self.clock, shards=shards))
        self.done: list[str] = []

    async def post(self, key: str | None, body: str = "body", user: str = "u", name: str = "call") -> Answer:
        place = CourseKey.of("t", "c")
        session = Session("t", place.course, place.bucket, user, "U", "instructor", "en", "C", 0.0)
        headers = [(b"idempotency-key", key.encode())] if key is not None else []
        request = Request({"type": "http", "headers": headers})

        async def produce() -> Answer:
            self.done.append(body)
            if body == "wrong":
                raise NotFound("no")
            return Answer({"number": len(self.done)}, 201, {"Location": f"/{len(self.done)}"})

        call: Call[Any] = Call(request, self.tool, session, None)
        return await idempotent(call, name, body, produce)


@pytest.fixture
def caller(shards: Shards) -> Caller:
    return Caller(shards)


async def test_without_a_key_every_post_is_done(caller: Caller) -> None:
    await caller.post(None)
    await caller.post(None)
    assert len(caller.done) == 2


async def test_the_first_answer_is_given_again_for_a_day(caller: Caller) -> None:
    first = await caller.post("k")
    caller.clock.advance(DAY - 1)
    assert await caller.post("k") == first
    caller.clock.advance(2)
    assert await caller.post("k") != first
    assert len(caller.done) == 2


async def test_a_key_belongs_to_a_person_and_a_call(caller: Caller) -> None:
    await caller.post("k")
    await caller.post("k", user="v")
    await caller.post("k", name="another")
    assert len(caller.done) == 3


async def test_another_body_under_the_key_is_refused(caller: Caller) -> None:
    await caller.post("k")
    with pytest.raises(Conflict) as refused:
        await caller.post("k", body="other")
    assert refused.value.retry_after is None


async def test_an_error_frees_the_key(caller: Caller) -> None:
    with pytest.raises(NotFound):
        await caller.post("k", body="wrong")
    assert (await caller.post("k")).status == 201


async def test_the_claim_of_a_process_that_died_ends(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as died:
        # A killed process neither releases nor keeps.
        died.setattr("atomic_guide.web.idempotency._run", lambda *_: _nothing)
        await caller.post("k")
    with pytest.raises(Conflict) as refused:
        await caller.post("k")
    assert refused.value.retry_after
    caller.clock.advance(61)
    assert (await caller.post("k")).status == 201


async def _nothing(tx: object) -> None:
    pass


async def test_old_answers_are_forgotten(caller: Caller, shards: Shards) -> None:
    await caller.post("k")
    caller.clock.advance(DAY + 1)
    await prune_answers(caller.tool)
    await caller.post("k", body="other")
    assert len(caller.done) == 2


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "ä"])
async def test_a_key_is_visible_ascii(caller: Caller, key: str) -> None:
    with pytest.raises(Invalid):
        await caller.post(key)
