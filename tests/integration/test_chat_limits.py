"""What people and rooms may say, over all processes together: each `Messages` here is one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.course.chat.budgets import Rates
from atomic_guide.course.chat.message import Author, Message
from atomic_guide.course.chat.store import Messages
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

KEY = CourseKey.of("tenant", "algebra")
RATES = Rates(person=6, instructor=12, room=20)
ADA = Author("ada", "Ada")


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Processes:
    """Two processes with clocks of their own."""

    def __init__(self, shards: Shards) -> None:
        self.clocks = [ManualClock(), ManualClock()]
        self.announced: list[Message] = []
        self.messages = [
            Messages(shards, clock, lambda _key, message: self.announced.append(message), RATES)
            for clock in self.clocks
        ]

    def advance(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.advance(seconds)

    async def say(self, author: Author, number: int, *, key: CourseKey = KEY, identifier: str | None = None) -> int:
        """Post by the process of a number; the message's own number."""
        posted = await self.messages[number % 2].post(key, author, f"message {number}", identifier)
        return posted.message.seq

    async def until_refused(self, author: Author) -> tuple[int, errors.RateLimited]:
        """Post by one process after the other; how many were taken, and what refused the next."""
        for number in range(100):
            try:
                await self.say(author, number)
            except errors.RateLimited as refusal:
                return number, refusal
        pytest.fail("a hundred messages were taken")


async def test_a_person_has_one_budget_however_many_processes_there_are(shards: Shards) -> None:
    processes = Processes(shards)
    taken, refusal = await processes.until_refused(ADA)
    assert (taken, refusal.details) == (6, {"limit": "person"})
    assert refusal.retry_after == pytest.approx(10.0)
    # Somebody else, and the same person in another course, are not concerned.
    assert await processes.say(Author("ben", "Ben"), 0) == 7
    assert await processes.say(ADA, 1, key=CourseKey.of("tenant", "optics")) == 1
    processes.advance(10.0)
    assert await processes.say(ADA, 1) == 8
    with pytest.raises(errors.RateLimited):
        await processes.say(ADA, 0)


async def test_an_instructor_may_say_more(shards: Shards) -> None:
    taken, refusal = await Processes(shards).until_refused(Author("fern", "Dr. Fern", "instructor"))
    assert (taken, refusal.details) == (12, {"limit": "person"})


async def test_a_room_has_one_budget_whoever_speaks(shards: Shards) -> None:
    processes = Processes(shards)
    for number in range(20):
        await processes.say(Author(f"user {number}", "User"), number)
    with pytest.raises(errors.RateLimited) as refused:
        await processes.say(ADA, 1)
    assert refused.value.details == {"limit": "room"}
    # A refused message spends nothing of its author's budget.
    processes.advance(60.0)
    assert (await processes.until_refused(ADA))[0] == 6


async def test_a_message_that_is_sent_again_spends_nothing(shards: Shards) -> None:
    processes = Processes(shards)
    for number in range(6):
        assert await processes.say(ADA, number, identifier=f"id-{number}") == number + 1
    for number in range(6):
        assert await processes.say(ADA, number + 1, identifier=f"id-{number}") == number + 1
    assert [message.seq for message in processes.announced] == [1, 2, 3, 4, 5, 6]


async def test_a_clock_that_is_an_hour_ahead_silences_nobody(shards: Shards) -> None:
    processes = Processes(shards)
    processes.clocks[1].advance(3600.0)
    for number in range(6):
        await processes.say(ADA, number)
    assert await processes.say(ADA, 0) == 7
