"""What a move of a bucket or a course promises, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.moves import Mover, Scope, verify
from atomic_guide.engines.data.moves.move import Move, Superseded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, Invalid, NotFound, Unavailable
from tests.engines import ENGINES, opened_shards
from tests.moving import ADD, FOLLOWING, SEQS, beside, fill, message, other, rows_on, seqs, where
from tests.postgres import Cluster

KEY = CourseKey.of("t1", "algebra")
BUCKET = Scope(DEFAULT_ZONE, KEY.bucket)
# Another course of the same bucket: what a bucket holds is not one course's alone.
NEIGHBOUR = CourseKey("t2", "cneighbour", KEY.bucket)
COURSE = Scope.of_course(DEFAULT_ZONE, KEY)


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def moved(shards: Shards, scope: Scope, target: str) -> Move:
    mover = Mover(shards, "mover", limits=FOLLOWING)
    return await mover.carry_out((await mover.start(scope, target)).id)


async def test_a_bucket_goes_with_all_its_rows_and_leaves_none(shards: Shards) -> None:
    for key in (KEY, NEIGHBOUR):
        await fill(shards, key, 100)
    source, target = shards.place(KEY).shard, shards.named(other(shards, KEY))
    mover = Mover(shards, "mover", limits=FOLLOWING)
    steps: list[str] = []
    move = await mover.start(BUCKET, target.name)
    ended = await mover.carry_out(move.id, lambda progress: steps.append(progress.step))
    assert (ended.state, ended.error, ended.rows, ended.owner) == ("done", None, 402, "")
    assert ended.pause_ms > 0
    assert steps[0] == "enter"
    assert steps[-6:] == ["flip", "leave", "own", "clear", "purge", "forget"]
    for key in (KEY, NEIGHBOUR):
        assert shards.place(key) == (target, 2)
        assert await seqs(shards, key) == list(range(1, 101))
    assert await rows_on(source, KEY.bucket) == 0
    assert await rows_on(target, KEY.bucket) == 402
    assert await verify(shards) == []


async def test_a_bucket_goes_to_and_fro(shards: Shards) -> None:
    await fill(shards, KEY, 5)
    for round_number in range(1, 4):
        for _ in range(2):
            assert (await moved(shards, BUCKET, other(shards, KEY))).error is None
        await shards.of(KEY).write(lambda tx, n=5 + round_number: tx.execute(ADD, message(KEY, n)))  # type: ignore[misc]
    assert await seqs(shards, KEY) == list(range(1, 9))
    assert shards.place(KEY).epoch == 7
    assert await rows_on(shards.named(other(shards, KEY)), KEY.bucket) == 0
    assert [move.state for move in await Mover(shards, "mover", limits=FOLLOWING).list_moves()] == ["done"] * 6
    assert await verify(shards) == []


async def test_an_empty_bucket_moves(shards: Shards) -> None:
    ended = await moved(shards, BUCKET, other(shards, KEY))
    assert (ended.state, ended.rows) == ("done", 0)
    await fill(shards, KEY, 1)
    assert await seqs(shards, KEY) == [1]


async def test_a_course_gets_a_place_of_its_own_and_its_bucket_moves_without_it(shards: Shards) -> None:
    for key in (KEY, NEIGHBOUR):
        await fill(shards, key, 10)
    home, away = shards.place(KEY).shard.name, other(shards, KEY)
    assert (await moved(shards, COURSE, away)).rows == 21
    assert (where(shards, KEY), where(shards, NEIGHBOUR)) == (away, home)
    await shards.of(KEY).write(lambda tx: tx.execute(ADD, message(KEY, 11)))
    # The bucket comes to where the course is, goes again, and leaves the course there.
    assert (await moved(shards, BUCKET, away)).rows == 21
    assert (where(shards, KEY), where(shards, NEIGHBOUR)) == (away, away)
    assert (await moved(shards, BUCKET, home)).rows == 21
    assert (where(shards, KEY), where(shards, NEIGHBOUR)) == (away, home)
    assert await seqs(shards, KEY) == list(range(1, 12))
    assert await verify(shards) == []
    # Back with its bucket, it goes where that goes.
    assert (await moved(shards, COURSE, home)).rows == 22
    assert shards.map.overrides == {}
    assert (await moved(shards, BUCKET, away)).rows == 43
    assert (await seqs(shards, KEY), await seqs(shards, NEIGHBOUR)) == (list(range(1, 12)), list(range(1, 11)))
    assert await rows_on(shards.named(home), KEY.bucket) == 0
    assert await verify(shards) == []


async def test_what_cannot_be_moved_is_refused(shards: Shards) -> None:
    mover = Mover(shards, "mover", limits=FOLLOWING)
    here, there = shards.place(KEY).shard.name, other(shards, KEY)
    with pytest.raises(Conflict, match="already"):
        await mover.start(BUCKET, here)
    with pytest.raises(Unavailable, match="shard-77"):
        await mover.start(BUCKET, "shard-77")
    with pytest.raises(Invalid):
        await mover.start(Scope(DEFAULT_ZONE, 4096), there)
    with pytest.raises(Invalid):
        await mover.start(Scope(DEFAULT_ZONE, 1, course="c"), there)
    with pytest.raises(NotFound, match="zone mars"):
        await mover.start(Scope("mars", 1), there)
    with pytest.raises(NotFound):
        await mover.carry_out("none")
    move = await mover.start(BUCKET, there)
    for scope in (BUCKET, COURSE):
        with pytest.raises(Conflict, match=move.id):
            await mover.start(scope, there)


async def test_a_move_is_taken_back(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    there = other(shards, KEY)
    for scope in (BUCKET, COURSE):
        move = await mover.start(scope, there)
        aborted = await mover.abort(move.id)
        assert (aborted.state, aborted.error) == ("aborted", "taken back")
        assert await mover.carry_out(move.id) == aborted
    assert await seqs(shards, KEY) == [1, 2, 3]
    done = await moved(shards, BUCKET, there)
    assert await mover.abort(done.id) == await mover.find(done.id)
    assert where(shards, KEY) == there
    assert await verify(shards) == []


async def test_rows_that_the_target_has_from_before_do_not_come_into_the_way(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    target = shards.named(other(shards, KEY))
    await target.primary.write(lambda tx: tx.execute(ADD, message(KEY, 2)))
    await target.primary.write(lambda tx: tx.execute(ADD, message(KEY, 77)))
    assert (await moved(shards, BUCKET, target.name)).state == "done"
    assert await seqs(shards, KEY) == [1, 2, 3]


async def test_a_router_that_does_not_know_of_the_move_is_refused_and_follows(shards: Shards, tmp_path: Path) -> None:
    await fill(shards, KEY, 3)
    async with beside(shards, tmp_path) as late:
        source, epoch = late.place(KEY)
        await moved(shards, BUCKET, other(shards, KEY))
        # The rows are put back at the source by hand: a router that asked there would see them.
        await source.primary.write(lambda tx: tx.execute(ADD, message(KEY, 1)))
        with pytest.raises(Unavailable, match="not read here"):
            await source.read(SEQS, KEY.columns, epoch=epoch)
        assert late.place(KEY) == (source, epoch)
        assert await seqs(late, KEY) == [1, 2, 3]
        assert late.place(KEY).epoch == epoch + 1
        await moved(shards, BUCKET, other(shards, KEY))
        await late.of(KEY).write(lambda tx: tx.execute(ADD, message(KEY, 4)))
        assert where(late, KEY) == where(shards, KEY)
    assert await seqs(shards, KEY) == [1, 2, 3, 4]


async def test_a_mover_leaves_a_move_to_the_one_that_has_it(shards: Shards) -> None:
    clock = ManualClock()
    first, second = Mover(shards, "first", clock, FOLLOWING), Mover(shards, "second", clock, FOLLOWING)
    move = await first.start(BUCKET, other(shards, KEY))
    await first._ledger.lease(move.id, "first", 30)
    with pytest.raises(Conflict, match="in the hands of first"):
        await second.carry_out(move.id)
    outcomes = await second.resume_all()
    assert [outcome.move.state for outcome in outcomes] == ["planned"]
    assert "in the hands of first" in str(outcomes[0].error)
    clock.advance(31)
    assert [outcome.move.state for outcome in await second.resume_all()] == ["done"]
    assert await second.resume_all() == []


class Halted:
    """A mover that halts before it writes a state down, until it may go on."""

    def __init__(self, shards: Shards, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mover = Mover(shards, "first", limits=FOLLOWING)
        self.there, self.onward = asyncio.Event(), asyncio.Event()
        real = self.mover._ledger.advance

        async def late(move: Move, after: Any, **changed: Any) -> Move:
            if after == state:
                self.there.set()
                await self.onward.wait()
            return await real(move, after, **changed)

        monkeypatch.setattr(self.mover._ledger, "advance", late)


async def test_a_move_is_called_off_while_another_mover_copies(shards: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(shards, KEY, 3)
    here, there = where(shards, KEY), other(shards, KEY)
    halted = Halted(shards, "fencing", monkeypatch)
    move = await halted.mover.start(BUCKET, there)
    carried = asyncio.create_task(halted.mover.carry_out(move.id))
    await asyncio.wait_for(halted.there.wait(), 20)
    ended = await Mover(shards, "second", limits=FOLLOWING).cancel(move.id, "ada")
    assert (ended.state, ended.error, ended.owner) == ("aborted", "called off by ada", "")
    halted.onward.set()
    with pytest.raises(Superseded):
        await carried
    await shards.of(KEY).write(lambda tx: tx.execute(ADD, message(KEY, 4)))
    assert (where(shards, KEY), await seqs(shards, KEY)) == (here, [1, 2, 3, 4])
    assert await rows_on(shards.named(there), KEY.bucket) == 0
    assert await verify(shards) == []
    with pytest.raises(Conflict, match="has ended already: it is aborted"):
        await halted.mover.cancel(move.id, "ada")


async def test_a_move_that_has_switched_is_brought_to_its_end_instead(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(shards, KEY, 3)
    there = other(shards, KEY)
    halted = Halted(shards, "cleaning", monkeypatch)
    move = await halted.mover.start(BUCKET, there)
    carried = asyncio.create_task(halted.mover.carry_out(move.id))
    await asyncio.wait_for(halted.there.wait(), 20)
    second = Mover(shards, "second", limits=FOLLOWING)
    with pytest.raises(Conflict, match=f"{there} owned it by then, and keeps it"):
        await second.cancel(move.id, "ada")
    assert (await second.find(move.id)).state == "done"
    halted.onward.set()
    with pytest.raises(Superseded):
        await carried
    assert (where(shards, KEY), await seqs(shards, KEY)) == (there, [1, 2, 3])
    assert await verify(shards) == []


async def test_a_move_that_is_held_is_not_begun_until_it_is_let_go(shards: Shards) -> None:
    mover = Mover(shards, "mover", limits=FOLLOWING)
    move = await mover.start(BUCKET, other(shards, KEY))
    for _ in range(2):
        assert (await mover.hold(move.id, "ada")).held_by == "ada"
    with pytest.raises(Conflict, match="is paused by ada; resume it first"):
        await mover.carry_out(move.id)
    found = await mover.find(move.id)
    assert (found.state, found.lease_until) == ("planned", 0)
    assert (await mover.let_go(move.id)).held_by is None
    assert (await mover.carry_out(move.id)).state == "done"
    with pytest.raises(Conflict, match="has ended; only one that waits"):
        await mover.hold(move.id, "ada")
    with pytest.raises(NotFound):
        await mover.hold("none", "ada")
