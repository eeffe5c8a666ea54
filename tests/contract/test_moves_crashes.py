"""A mover that dies, or is taken for dead, at any step: another goes on, and there is one owner with all rows."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.moves import Mover, Progress, Scope, Superseded, verify
from atomic_guide.engines.data.moves.carrying import Carrying
from atomic_guide.engines.data.moves.move import Step
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.moving import ADD, FOLLOWING, REMOVE, SEQS, addresses, fill, message, other, rows_on, seqs, where
from tests.postgres import Cluster

ROOT = Path(__file__).parents[2]
KEY = CourseKey.of("t1", "algebra")
BUCKET = Scope(DEFAULT_ZONE, KEY.bucket)
COURSE = Scope.of_course(DEFAULT_ZONE, KEY)
FORWARD = ("enter", "copy", "catch_up", "fence", "finish", "flip", "leave", "own", "clear", "purge", "forget")
UNDECIDED = FORWARD[:6]


class Crash(BaseException):
    """The end of a mover: none of its code runs any more."""


def crash_at(step: str) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        if progress.step == step:
            raise Crash

    return told


def fail_at(step: str) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        if progress.step == step:
            raise errors.DataUnavailable("a disk is full")

    return told


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def steps_of(shards: Shards) -> list[str]:
    """What a mover of this engine goes through: a file is not followed."""
    follows = hasattr(shards.directory, "address")
    return [step for step in FORWARD if follows or step != "catch_up"]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scope", [BUCKET, COURSE], ids=["bucket", "course"])
async def test_a_crash_at_any_step_is_followed_by_another_mover(
    shards: Shards, clock: ManualClock, scope: Scope
) -> None:
    await fill(shards, KEY, 20)
    expected = list(range(1, 21))
    first, second = Mover(shards, "first", clock, FOLLOWING), Mover(shards, "second", clock, FOLLOWING)
    for step in steps_of(shards):
        source, target = where(shards, KEY), other(shards, KEY)
        move = await first.start(scope, target)
        with pytest.raises(Crash):
            await first.carry_out(move.id, crash_at(step))
        if step in UNDECIDED[:4]:
            # Nobody who uses the course feels it.
            expected.append(expected[-1] + 1)
            await shards.of(KEY).write(lambda tx, seq=expected[-1]: tx.execute(ADD, message(KEY, seq)))  # type: ignore[misc]
        clock.advance(31)
        (outcome,) = await second.resume_all()
        assert (step, outcome.error, outcome.move.state) == (step, None, "done")
        assert where(shards, KEY) == target
        assert await seqs(shards, KEY) == expected
        assert await rows_on(shards.named(source).primary, KEY.bucket) == 0
        assert await verify(shards) == []


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scope", [BUCKET, COURSE], ids=["bucket", "course"])
async def test_a_failure_before_the_flip_leaves_everything_as_it_was(
    shards: Shards, clock: ManualClock, scope: Scope
) -> None:
    await fill(shards, KEY, 20)
    source, target = where(shards, KEY), other(shards, KEY)
    mover = Mover(shards, "mover", clock, FOLLOWING)
    for step in [step for step in steps_of(shards) if step in UNDECIDED]:
        move = await mover.start(scope, target)
        ended = await mover.carry_out(move.id, fail_at(step))
        assert (step, ended.state, ended.error) == (step, "aborted", "a disk is full")
        assert where(shards, KEY) == source
        await shards.of(KEY).write(lambda tx: tx.execute(ADD, message(KEY, 99)))
        await shards.of(KEY).write(lambda tx: tx.execute(REMOVE, {**KEY.columns, "seq": 99}))
        assert await seqs(shards, KEY) == list(range(1, 21))
        assert await rows_on(shards.named(target).primary, KEY.bucket) == 0
        assert await verify(shards) == []


@pytest.mark.parametrize("step", ["unfence", "clear", "purge", "forget"])
async def test_a_crash_while_it_is_undone_is_followed_by_another_mover(
    shards: Shards, clock: ManualClock, step: Step
) -> None:
    await fill(shards, KEY, 20)
    source, target = where(shards, KEY), other(shards, KEY)
    first, second = Mover(shards, "first", clock, FOLLOWING), Mover(shards, "second", clock, FOLLOWING)
    move = await first.start(BUCKET, target)

    def told(progress: Progress) -> None:
        fail_at("flip")(progress)
        crash_at(step)(progress)

    with pytest.raises(Crash):
        await first.carry_out(move.id, told)
    await shards.of(KEY).write(lambda tx: tx.execute(ADD, message(KEY, 21)))
    clock.advance(31)
    (outcome,) = await second.resume_all()
    assert (outcome.error, outcome.move.state) == (None, "aborted")
    assert where(shards, KEY) == source
    assert await seqs(shards, KEY) == list(range(1, 22))
    assert await rows_on(shards.named(target).primary, KEY.bucket) == 0
    assert await verify(shards) == []


GATES: dict[str, Callable[[Carrying], tuple[object, str]]] = {
    "enter": lambda mover: (mover._task.target, "enter"),
    "copy": lambda mover: (mover._carrier, "copy"),
    "fence": lambda mover: (mover._task.source, "fence"),
    "finish": lambda mover: (mover._carrier, "finish"),
    "flip": lambda mover: (mover._ledger, "flip"),
    "leave": lambda mover: (mover._task.source, "leave"),
    "own": lambda mover: (mover._task.target, "own"),
    "purge": lambda mover: (mover._task.source, "purge"),
    "forget": lambda mover: (mover._task.source, "forget"),
}
"""What a mover does at each step: where it is held up."""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_mover_that_was_taken_for_dead_changes_nothing(shards: Shards, clock: ManualClock) -> None:
    await fill(shards, KEY, 20)
    second = Mover(shards, "second", clock, FOLLOWING)
    for number, step in enumerate(GATES):
        asleep, wake = asyncio.Event(), asyncio.Event()
        move = await second.start(BUCKET, other(shards, KEY))
        late = asyncio.create_task(held_up(shards, clock, move.id, step, (asleep, wake)))
        await asleep.wait()
        clock.advance(31)
        assert (await second.carry_out(move.id)).state == "done"
        # The course goes on, and back, before the first mover wakes.
        await shards.of(KEY).write(lambda tx, seq=100 + number: tx.execute(ADD, message(KEY, seq)))  # type: ignore[misc]
        back = await second.carry_out((await second.start(BUCKET, other(shards, KEY))).id)
        rows = await seqs(shards, KEY)
        wake.set()
        with pytest.raises(Superseded):
            await late
        assert where(shards, KEY) == back.target
        assert await seqs(shards, KEY) == rows
        assert await verify(shards) == []


async def held_up(
    shards: Shards, clock: ManualClock, move_id: str, step: str, events: tuple[asyncio.Event, asyncio.Event]
) -> None:
    """A mover that stands still for a long time before what it does at a step."""
    asleep, wake = events
    mover = Mover(shards, "first", clock, FOLLOWING)
    carrying = await mover._carrying(await mover._ledger.lease(move_id, "first", 30), lambda _: None)
    thing, name = GATES[step](carrying)
    do = getattr(thing, name)

    async def gated(*arguments: Any, **named: Any) -> Any:
        asleep.set()
        await wake.wait()
        return await do(*arguments, **named)

    setattr(thing, name, gated)
    await carrying.run()


async def test_the_source_answers_no_more_when_the_target_begins_to(shards: Shards, clock: ManualClock) -> None:
    await fill(shards, KEY, 3)
    source, epoch = shards.place(KEY)
    move = await Mover(shards, "mover", clock, FOLLOWING).start(BUCKET, other(shards, KEY))
    asleep, wake = asyncio.Event(), asyncio.Event()
    moving = asyncio.create_task(held_up(shards, clock, move.id, "own", (asleep, wake)))
    await asleep.wait()
    # A router that has not heard of the flip would read here what is old once the target takes writes.
    with pytest.raises(errors.Fenced):
        await source.read(SEQS, KEY.columns, epoch=epoch)
    wake.set()
    await moving
    assert await seqs(shards, KEY) == [1, 2, 3]


@pytest.mark.parametrize("step", ["copy", "flip", "own", "purge"])
async def test_a_process_that_is_killed_is_followed_by_another(shards: Shards, tmp_path: Path, step: str) -> None:
    await fill(shards, KEY, 20)
    source, target = where(shards, KEY), other(shards, KEY)
    move = await Mover(shards, "parent", limits=FOLLOWING).start(BUCKET, target)
    given = {"folder": str(tmp_path), "addresses": addresses(shards), "move": move.id, "step": step}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.move_process", cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(given).encode())
    process.stdin.close()
    assert (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip() == step
    process.send_signal(signal.SIGKILL)
    await process.wait()
    mover = Mover(shards, "parent", limits=FOLLOWING)
    # Its lease runs out a second after it was taken.
    for _ in range(200):
        await asyncio.sleep(0.1)
        if (await mover.resume_all())[0].error is None:
            break
    assert (await mover.find(move.id)).state == "done"
    assert where(shards, KEY) == target
    assert await seqs(shards, KEY) == list(range(1, 21))
    assert await rows_on(shards.named(source).primary, KEY.bucket) == 0
    assert await verify(shards) == []
