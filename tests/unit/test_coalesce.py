"""Point reads that arrive together: what is sent, and who hears of what goes wrong."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide import errors
from atomic_guide.engines.data.coalesce import Answer, PointReads
from atomic_guide.engines.data.database import Params, Row
from atomic_guide.engines.data.queries import Query, parse_queries

QUERIES = parse_queries(
    """
-- name: find
-- purpose: Find a thing.
-- batch: yes
SELECT thing FROM things WHERE id = :id
-- name: other
-- purpose: Find another.
-- batch: yes
SELECT other FROM others WHERE id = :id
""",
    "here",
)
FIND = QUERIES["find"]


class Server:
    """Answers each id with itself, after `answers` is set; keeps what it was sent.

    An id below zero is one that no column can hold; courses of an epoch above 9 are not its own.
    """

    def __init__(self, pending: int = 100) -> None:
        self.sent: list[list[int]] = []
        self.broken_off = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.failure: Exception | None = None
        self.points = PointReads("d", self._one, self._many, pending)

    def ask(self, number: int, epoch: int | None = None, query: Query = FIND) -> "asyncio.Task[list[Row]]":
        return asyncio.create_task(self.points.read(query, {"id": number}, epoch))

    async def _one(self, query: Query, params: Params, epoch: int | None) -> list[Row]:
        (answer,) = await self._many(query, [params], None if epoch is None else [epoch])
        if isinstance(answer, errors.Fenced):
            raise answer
        return answer

    async def _many(self, query: Query, params: Sequence[Params], epochs: Sequence[int] | None) -> list[Answer]:
        ids = [each["id"] for each in params]
        self.sent.append(ids)
        try:
            await asyncio.sleep(0)
            await self.answers.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        if self.failure is not None:
            raise self.failure
        if min(ids) < 0:
            raise errors.Invalid("no column can hold this")
        return [
            errors.Fenced("elsewhere") if epochs and epochs[index] > 9 else [{"thing": number}]
            for index, number in enumerate(ids)
        ]


def things(rows: Sequence[list[Row]]) -> list[int]:
    return [row["thing"] for each in rows for row in each]


async def test_a_read_that_is_alone_is_sent_at_once() -> None:
    server = Server()
    assert things([await server.points.read(FIND, {"id": 1}, None)]) == [1]
    assert things([await server.points.read(FIND, {"id": 2}, None)]) == [2]
    assert server.sent == [[1], [2]]


async def test_reads_of_one_tick_become_one_statement() -> None:
    server = Server()
    assert things(await asyncio.gather(*(server.ask(number) for number in range(5)))) == [0, 1, 2, 3, 4]
    # The first was alone when it came; now that reads come together, the first of a tick waits for the others.
    assert server.sent == [[0], [1, 2, 3, 4]]
    assert things(await asyncio.gather(*(server.ask(number) for number in range(5)))) == [0, 1, 2, 3, 4]
    assert server.sent[2:] == [[0, 1, 2, 3, 4]]


async def test_what_arrives_while_a_statement_is_under_way_is_the_next_one() -> None:
    server = Server()
    server.answers.clear()
    first = server.ask(1)
    await asyncio.sleep(0)
    later = [server.ask(2), server.ask(3)]
    await asyncio.sleep(0)
    assert server.sent == [[1]]
    server.answers.set()
    assert things(await asyncio.gather(first, *later)) == [1, 2, 3]
    assert server.sent == [[1], [2, 3]]


async def test_a_statement_that_hangs_does_not_hold_up_the_next() -> None:
    server = Server()
    server.answers.clear()
    hanging = server.ask(1)
    await asyncio.sleep(0)
    later = server.ask(2)
    async with asyncio.timeout(5):
        while len(server.sent) < 2:  # noqa: ASYNC110 - of a server that knows nothing of this test
            await asyncio.sleep(0.001)
    server.answers.set()
    assert things([await later, await hanging]) == [2, 1]


async def test_queries_and_fenced_reads_are_kept_apart() -> None:
    server = Server()
    for _ in range(2):
        asked = [server.ask(number) for number in (1, 2, 3)]
        asked += [server.ask(number, epoch=number) for number in (4, 5, 6)]
        asked += [server.ask(number, query=QUERIES["other"]) for number in (7, 8, 9)]
        assert things(await asyncio.gather(*asked)) == list(range(1, 10))
    assert sorted(server.sent[-3:]) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


async def test_a_refused_course_and_a_bad_value_fail_alone() -> None:
    server = Server()
    asked = [server.ask(number, epoch) for number, epoch in ((0, 1), (1, 1), (2, 10), (3, 1))]
    fenced = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in fenced] == [list, list, errors.Fenced, list]
    bad = await asyncio.gather(*(server.ask(number) for number in (0, 1, -1, 3)), return_exceptions=True)
    assert [type(outcome) for outcome in bad] == [list, list, errors.Invalid, list]


async def test_where_the_server_fails_everybody_is_told() -> None:
    server = Server()
    server.failure = errors.Disconnected("gone")
    outcomes = await asyncio.gather(*(server.ask(number) for number in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [errors.Disconnected] * 4
    assert len(server.sent) == 2, "a server that is away is not asked by each of them again"


async def test_one_caller_that_gives_up_leaves_the_others_and_the_last_one_ends_the_statement() -> None:
    server = Server()
    await asyncio.gather(server.ask(1), server.ask(2), server.ask(3))
    server.answers.clear()
    stays, *leave = (server.ask(number) for number in range(3))
    await asyncio.sleep(0.001)
    for task in leave:
        task.cancel()
    await asyncio.gather(*leave, return_exceptions=True)
    assert server.broken_off == 0
    stays.cancel()
    await asyncio.gather(stays, return_exceptions=True)
    await asyncio.sleep(0)
    assert server.broken_off == 1
    server.answers.set()
    assert things([await server.ask(9)]) == [9]


async def test_what_waits_is_bounded_and_so_is_a_statement() -> None:
    server = Server(pending=1000)
    server.answers.clear()
    asked = [server.ask(number) for number in range(1200)]
    await asyncio.sleep(0)
    refused = [task for task in asked if task.done()]
    assert len(refused) == 199
    with pytest.raises(errors.DataUnavailable, match="too many statements waiting"):
        await refused[0]
    server.answers.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1001
    assert max(map(len, server.sent)) == 512
    assert things([await server.ask(7)]) == [7]


@given(
    st.lists(
        st.tuples(st.integers(-2, 20), st.sampled_from([None, 1, 10]), st.integers(0, 3), st.booleans()), max_size=30
    )
)
async def test_every_caller_gets_what_it_would_get_alone(calls: list[tuple[int, int | None, int, bool]]) -> None:
    """Whoever comes when, asks for what, or gives up."""
    server = Server()
    asked = []
    for number, epoch, ticks, gives_up in calls:
        task = server.ask(number, epoch)
        asked.append(task)
        for _ in range(ticks):
            await asyncio.sleep(0)
        if gives_up:
            task.cancel()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    for (number, epoch, _, gives_up), outcome in zip(calls, outcomes, strict=True):
        if isinstance(outcome, asyncio.CancelledError):
            assert gives_up
        elif number < 0:
            assert isinstance(outcome, errors.Invalid)
        elif epoch == 10:
            assert isinstance(outcome, errors.Fenced)
        else:
            assert outcome == [{"thing": number}]
