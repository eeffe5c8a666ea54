"""Shards as a fleet: one more takes its share of courses that are used meanwhile, one fewer gives them back."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from atomic_guide.app.targets.shards import ShardFleet, Standing, following
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.layout.view import registered
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from tests.engines import installed
from tests.moving import Use, fill, seqs

pytestmark = pytest.mark.timeout(240)

# The first buckets are the first to go.
KEYS = [key for number in range(4000) if (key := CourseKey.of("t-test", f"course-{number}")).bucket < 4][:3]


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[Shards]:
    """Two shards so heavy that a third takes 10 of the 4,096 buckets."""
    opened = await open_embedded(installed(tmp_path, 2), DataSettings(shards=2))
    running = asyncio.create_task(opened.run())
    for name in ("shard-0", "shard-1"):
        await change.weigh(opened, name, 200)
    for key in KEYS:
        await fill(opened, key, 20)
    yield opened
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await opened.close()


@contextlib.asynccontextmanager
async def fleet(shards: Shards, data: Path, most: int = 3) -> AsyncIterator[ShardFleet]:
    made = ShardFleet(shards, data, ("--data", str(data)), (1, most), ())
    try:
        yield made
    finally:
        await made.close()


async def until(target: ShardFleet, holds: Callable[[Fleet], bool]) -> Fleet:
    for _ in range(1200):
        if holds(found := await target.look()):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


async def states(shards: Shards) -> dict[str, str]:
    return {one.name: one.state for one in await registered(shards)}


async def test_one_more_takes_its_share_and_gives_it_back(shards: Shards, tmp_path: Path) -> None:
    use = Use(KEYS[0])
    async with fleet(shards, tmp_path) as target, use.going_on([shards], writers=1, readers=1):
        assert await target.look() == Fleet(2, 0, 1, 3, 1.0)
        await target.scale(3, "more")
        await target.scale(3, "more")
        found = await until(target, lambda fleet: fleet.ready == 3)
        assert found.starting == 0
        assert await states(shards) == {"shard-0": "active", "shard-1": "active", "shard-2": "active"}
        await shards.refresh()
        owned = [owner for owner, _ in shards.map.buckets["default"]].count("shard-2")
        assert 5 <= owned <= 20
        await target.scale(2, "fewer")
        assert (await until(target, lambda fleet: fleet.coming == 2)).ready == 2
        assert (await states(shards))["shard-2"] == "drained"
        await target.scale(3, "more again")
        await until(target, lambda fleet: fleet.ready == 3)
        # An act that comes again after newer ones is over.
        await target.scale(2, "fewer")
        assert (await target.look()).coming == 3
        assert sorted(await states(shards)) == ["shard-0", "shard-1", "shard-2"], "the drained one is taken first"
        with pytest.raises(Invalid, match=r"4 shards are out of the bounds of shards: 1 to 3; scaling\.shards\.max"):
            await target.scale(4, "too many")
    for key in KEYS:
        assert (await seqs(shards, key))[:20] == list(range(1, 21))


async def test_what_is_killed_in_its_middle_is_carried_on(shards: Shards, tmp_path: Path) -> None:
    async with fleet(shards, tmp_path) as target:
        await target.scale(3, "more")
        killed = 0
        for _ in range(600):
            if (child := target.child) is not None and (await target.look()).starting:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                killed += 1
                break
            await asyncio.sleep(0.05)
        assert killed == 1
        await until(target, lambda fleet: fleet.ready == 3 and fleet.starting == 0)
    # Another server that leads finds nothing left to do.
    async with fleet(shards, tmp_path) as target:
        await target.scale(3, "more")
        assert await target.look() == Fleet(3, 0, 1, 3, 1.0)
    for key in KEYS:
        assert await seqs(shards, key) == list(range(1, 21))


SETTLED = Standing(("shard-0", "shard-1"), (), (), moving=False)


@pytest.mark.parametrize(
    ("now", "goal", "spare", "words"),
    [
        (SETTLED, 2, ("",), None),
        (SETTLED, 3, ("",), ("add",)),
        (SETTLED, 3, ("old", ""), ("add", "old")),
        (SETTLED, 3, (), None),
        (SETTLED, 1, ("",), ("drain", "shard-1")),
        (SETTLED._replace(empty=("shard-1",)), 2, ("",), ("rebalance", "--zone", "default")),
        (SETTLED._replace(moving=True), 2, ("",), ("rebalance", "--zone", "default")),
        (SETTLED._replace(draining=("shard-2",)), 2, ("",), ("drain", "shard-2")),
    ],
)
def test_what_leads_on_from_where_it_stands(
    now: Standing, goal: int, spare: tuple[str, ...], words: tuple[str, ...] | None
) -> None:
    assert following(now, goal, spare) == words


async def test_more_than_the_settings_want_is_nothing_to_correct(shards: Shards, tmp_path: Path) -> None:
    async with fleet(shards, tmp_path, most=1) as target:
        assert await target.look() == Fleet(2, 0, 1, 2, 1.0)
