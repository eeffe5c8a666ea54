"""What operators see of shards and moves and have moved in a serving process, on both engines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.layout.rebalance import Levelled
from atomic_guide.engines.data.moves import Mover, Scope
from atomic_guide.engines.data.moves.ledger import Ledger
from atomic_guide.engines.data.moves.move import Move
from atomic_guide.engines.data.placement import BUCKETS
from atomic_guide.errors import Conflict, Invalid, NotFound
from atomic_guide.operations.operators.approvals import Voter
from atomic_guide.operations.placement.desk import Desk, Moves, Order
from tests.engines import ENGINES
from tests.layouts import NOW, Layout, layout
from tests.postgres import Cluster

BUCKET_NUMBERS = Order(Levelled(by="buckets"))
SMALL = 0.005
"""The weight of a shard whose share, beside two of weight 1, is ten buckets."""


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Layout]:
    async with layout(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def desk_of(site: Layout) -> Desk:
    return Desk(site.shards, SystemClock(), site.settings)


async def moves_when(desk: Desk, holds: Callable[[Moves], bool]) -> Moves:
    """The moves once something is so."""
    async with asyncio.timeout(30):
        while not holds(found := await desk.moves(1000)):  # noqa: ASYNC110 - a move's end has no event
            await asyncio.sleep(0.02)
    return found


async def planned(site: Layout, *buckets: int) -> list[Move]:
    """Moves that were written down and not begun."""
    mover = Mover(site.shards, "test")
    return [
        await mover.start(
            Scope("default", bucket),
            "shard-1" if site.shards.map.buckets["default"][bucket][0] == "shard-0" else "shard-0",
        )
        for bucket in buckets
    ]


async def test_a_shard_that_is_not_there_is_named(site: Layout) -> None:
    with pytest.raises(NotFound, match=r"there is no shard shard-9; there are shard-0, shard-1"):
        await desk_of(site).layout(Levelled(), shard="shard-9")


async def test_each_shard_is_shown_beside_its_share_with_what_would_move_and_why(site: Layout) -> None:
    await site.fill(20, messages=3)
    await change.add(site.shards, "shard-2", None, NOW)
    desk = desk_of(site)
    found = await desk.layout(desk.levelled(None, "buckets"), courses=3)
    assert [(one.name, one.buckets) for one in found.shards][2] == ("shard-2", 0)
    assert {one.engine for one in found.shards} <= {"sqlite", "postgresql"}
    assert sum(one.courses for one in found.shards) == 20
    (zone,) = found.zones
    assert zone.count == sum(way.moves for way in zone.ways) == BUCKETS // 3
    assert len(zone.moves) == 100
    assert {way.target for way in zone.ways} == {"shard-2"}
    assert zone.ways[0].why == "shard-0 carries 50.0%, its share is 33.3%; shard-2 carries 0.0% of 33.3%"
    assert zone.verdict.startswith(f"{BUCKETS // 3} of {BUCKETS} buckets move, 33.3% of the load")
    assert [round(share.share_after, 2) for share in zone.shards] == [0.33, 0.33, 0.33]
    assert len(found.courses) == 3
    assert found.courses[0].writes == 3
    with pytest.raises(NotFound, match="no zone mars"):
        await desk.layout(desk.levelled("mars", "bytes"))


async def test_a_plan_moves_nothing_and_an_order_moves_what_it_says(site: Layout) -> None:
    keys = await site.fill(5)
    await change.add(site.shards, "shard-2", SMALL, NOW)
    desk = desk_of(site)
    plan = await desk.plan(BUCKET_NUMBERS)
    assert (plan.dry_run, plan.begun, plan.planned) == (True, False, 10)
    assert (await desk.moves(10)).waiting_count == 0
    begun = await desk.rebalance(BUCKET_NUMBERS)
    assert (begun.begun, begun.planned, begun.unfinished) == (True, 10, 0)
    with pytest.raises(Conflict, match="carried out already"):
        await desk.rebalance(BUCKET_NUMBERS)
    moves = await moves_when(desk, lambda found: len(found.ended) == 10 and not found.under_way)
    assert {(one.state, one.target, one.step) for one in moves.ended} == {("done", "shard-2", None)}
    assert all(one.pause_ms > 0 for one in moves.ended)
    assert [await site.messages(key) for key in keys] == [3] * 5
    await desk.close()
    again = await desk_of(site).rebalance(BUCKET_NUMBERS)
    assert (again.begun, again.planned, again.zones[0].count) == (False, 0, 0)


async def test_a_limit_is_kept_and_what_ended_is_paged(site: Layout) -> None:
    await change.add(site.shards, "shard-2", SMALL, NOW)
    desk = desk_of(site)
    assert (await desk.rebalance(BUCKET_NUMBERS._replace(limit=3))).planned == 3
    everything = await moves_when(desk, lambda found: len(found.ended) == 3)
    first = await desk.moves(2)
    assert first.next is not None
    rest = await desk.moves(2, first.next)
    assert [*first.ended, *rest.ended] == everything.ended
    assert rest.next is None
    with pytest.raises(Invalid, match="next"):
        await desk.moves(2, "yesterday")
    await desk.close()


async def test_moves_that_wait_are_shown_ended_first_or_forgotten(site: Layout) -> None:
    (first, second) = await planned(site, 7, 8)
    desk = desk_of(site)
    found = await desk.moves(10)
    assert (found.waiting_count, found.under_way) == (2, [])
    assert [(one.id, one.step, one.steps, one.held) for one in found.waiting] == [
        (first.id, 1, 5, False),
        (second.id, 1, 5, False),
    ]
    assert (await desk.plan(BUCKET_NUMBERS)).unfinished == 2
    gone = await desk.abandon()
    assert (gone.abandoned, gone.failed) == (2, [])
    ended = (await desk.moves(10)).ended
    assert {(one.state, one.error) for one in ended} == {("aborted", "taken back")}


async def test_what_another_mover_has_is_left_to_it(site: Layout) -> None:
    (move,) = await planned(site, 7)
    await Ledger(site.shards.directory, SystemClock()).lease(move.id, "command-4711", 30)
    desk = desk_of(site)
    assert [(one.owner, one.held) for one in (await desk.moves(10)).under_way] == [("command-4711", True)]
    with pytest.raises(Conflict, match="in the hands of command-4711"):
        await desk.rebalance(BUCKET_NUMBERS)
    assert (await desk.abandon()).abandoned == 0


async def test_a_process_that_ends_leaves_moves_that_another_goes_on_with(site: Layout) -> None:
    await change.add(site.shards, "shard-2", SMALL, NOW)
    desk = desk_of(site)
    await desk.rebalance(BUCKET_NUMBERS)
    await moves_when(desk, lambda found: len(found.ended) > 0)
    await desk.close()
    other = desk_of(site)
    left = await other.moves(100)
    assert not any(one.held for one in left.under_way)
    if len(left.ended) < 10:
        assert (await other.rebalance(BUCKET_NUMBERS)).begun
    await moves_when(other, lambda found: len(found.ended) == 10 and not found.waiting)
    await other.close()


async def test_a_move_that_waits_is_paused_passed_over_and_taken_back(site: Layout) -> None:
    first, second = await planned(site, 1, 2)
    desk = desk_of(site)
    assert (await desk.hold(first.id, "ada")).paused_by == "ada"
    await desk.rebalance(BUCKET_NUMBERS)
    found = await moves_when(desk, lambda moves: not moves.under_way and moves.waiting_count == 1)
    assert [(one.id, one.paused_by) for one in found.waiting] == [(first.id, "ada")]
    assert second.id in {one.id for one in found.ended}
    told = await desk.cancel(first.id, "ben")
    assert (told.state, told.error, told.paused_by) == ("aborted", "called off by ben", None)
    for act in (desk.cancel(first.id, "ben"), desk.hold(first.id, "ben"), desk.hold(first.id, None)):
        with pytest.raises(Conflict, match="ended"):
            await act
    with pytest.raises(NotFound):
        await desk.cancel("none", "ben")


async def test_an_order_that_takes_two_is_begun_by_the_second_who_gives_the_same(site: Layout) -> None:
    await planned(site, 1)
    desk = desk_of(site)
    ada, ben = Voter("ada", 2), Voter("ben", 2)
    for _ in range(2):
        first = await desk.rebalance(BUCKET_NUMBERS, ada, "Ada")
        assert (first.begun, first.needed, [vote.by for vote in first.approvals]) == (False, 2, ["Ada"])
    # Who orders something else has not agreed.
    another = await desk.rebalance(Order(Levelled(by="rows")), ben, "Ben")
    assert (another.begun, [vote.by for vote in another.approvals]) == (False, ["Ben"])
    agreed = (await desk.layout(Levelled(), needed=2)).agreed
    assert sorted([vote.by for vote in votes] for votes in agreed.values()) == [["Ada"], ["Ben"]]
    assert (await desk.moves(10)).waiting_count == 1
    # Who agrees to an order as it is written does not begin it; whoever gave it does so then.
    (given,) = (order for order, votes in agreed.items() if votes[0].by == "Ada")
    assert [vote.by for vote in await desk.agree(given, ben, "Ben")] == ["Ada", "Ben"]
    with pytest.raises(NotFound, match="nobody waits"):
        await desk.agree(f"{given} more", ben, "Ben")
    assert (await desk.moves(10)).waiting_count == 1
    assert (await desk.rebalance(BUCKET_NUMBERS, ada, "Ada")).begun
    await moves_when(desk, lambda moves: not moves.under_way and moves.waiting_count == 0)
    await desk.close()
    assert len((await desk.layout(Levelled(), needed=2)).agreed) == 1, "the order that was carried out is forgotten"
