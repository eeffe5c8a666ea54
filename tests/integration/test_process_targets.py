"""The processes of a server as fleets that scaling changes: real children, started, ready, drained."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from atomic_guide.app.processes import Scaled, Wanted, ask
from atomic_guide.app.supervisor import Children, DataLock
from atomic_guide.app.targets.processes import Bounds, Processes, process_targets
from atomic_guide.app.targets.taken import Taken
from atomic_guide.config import ProcessSettings
from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.fleet import Fleet


@pytest.fixture
async def fleets(tmp_path: Path) -> AsyncIterator[dict[str, Processes]]:
    lock = DataLock.acquire(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        children = Children(lock, listener, ["--data", str(tmp_path)])
        scaled = Scaled(tmp_path, ProcessSettings(), children.present)

        async def follow() -> None:
            while True:
                children.scale(await scaled.next())

        tasks = [asyncio.create_task(children.run()), asyncio.create_task(follow())]
        yield {one.fleet: one for one in process_targets(scaled, Bounds(1, 2, 0.7), Bounds(1, 3, 4.0))}
        await children.stop(20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    lock.release()


async def until(target: Processes, holds: Callable[[Fleet], bool]) -> Fleet:
    for _ in range(800):
        if holds(fleet := await target.look()):
            return fleet
        await asyncio.sleep(0.05)
    raise AssertionError(fleet)


@pytest.mark.timeout(120)
async def test_a_worker_starts_becomes_ready_and_drains(fleets: dict[str, Processes]) -> None:
    workers = fleets["workers"]
    assert await workers.look() == Fleet(1, 0, 1, 3, 4.0)
    await workers.scale(2, "one")
    # At once: whoever looks before the supervisor has seen the wish must not wish again.
    assert (await workers.look()).coming == 2
    fleet = await until(workers, lambda fleet: fleet.starting == 0)
    assert fleet.ready == 2
    assert await fleets["web"].look() == Fleet(1, 0, 1, 2, 0.7), "the other fleet stays"
    await workers.scale(2, "one")
    assert (await workers.look()).coming == 2, "the same wish twice is one act"
    await workers.scale(1, "two")
    assert (await until(workers, lambda fleet: fleet.coming == 1)).ready == 1


async def test_wishes_for_both_fleets_of_one_moment_are_both_kept(fleets: dict[str, Processes]) -> None:
    await fleets["workers"].scale(2, "a")
    await fleets["web"].scale(2, "b")
    assert (await fleets["workers"].look()).coming == 2
    assert (await fleets["web"].look()).coming == 2
    await fleets["workers"].scale(1, "c")
    await fleets["web"].scale(1, "d")
    assert (await until(fleets["web"], lambda fleet: fleet.coming == 1)).ready == 1


async def test_an_act_that_a_new_leader_repeats_is_not_done_a_second_time(
    fleets: dict[str, Processes], tmp_path: Path
) -> None:
    workers = fleets["workers"]
    await workers.scale(3, "act")
    await until(workers, lambda fleet: fleet.starting == 0)
    # The leader dies before it has written that the act is done; an operator takes one away; a new leader asks again.
    ask(tmp_path, Wanted(web=1, worker=1))
    await until(workers, lambda fleet: fleet.coming == 2)
    await workers.scale(3, "act")
    assert (await workers.look()).coming == 2
    await workers.scale(3, "another")
    assert (await workers.look()).coming == 3


async def test_an_act_that_was_taken_back_does_not_go_forward(fleets: dict[str, Processes]) -> None:
    workers = fleets["workers"]
    await workers.scale(2, "act")
    await workers.scale(1, "act/back")
    await workers.scale(2, "act")
    assert (await workers.look()).coming == 1
    # Also where the wish itself was never heard.
    await workers.scale(1, "other/back")
    await workers.scale(2, "other")
    assert (await workers.look()).coming == 1


async def test_an_act_that_was_refused_is_not_taken(fleets: dict[str, Processes]) -> None:
    with pytest.raises(Invalid):
        await fleets["workers"].scale(4, "act")
    await fleets["workers"].scale(3, "act")
    assert (await fleets["workers"].look()).coming == 3


async def test_after_a_crash_of_the_server_the_same_act_leads_to_the_same_count(tmp_path: Path) -> None:
    """The supervisor is killed: its children end with it, and so does its wish; the act is done again, once."""
    for _ in range(2):
        scaled = Scaled(tmp_path, ProcessSettings(), {})
        workers = process_targets(scaled, Bounds(1, 2, 0.7), Bounds(1, 3, 4.0))[1]
        assert (await workers.look()).coming == 1
        for _ in range(2):
            await workers.scale(2, "act")
            assert scaled.newest() == Wanted(web=1, worker=1)


@pytest.mark.parametrize("count", [0, 4])
async def test_a_count_out_of_the_bounds_is_refused_by_name(fleets: dict[str, Processes], count: int) -> None:
    with pytest.raises(Invalid, match=rf"{count} workers are out of the bounds of scaling\.workers: from 1 to 3"):
        await fleets["workers"].scale(count, "x")
    assert (await fleets["workers"].look()).coming == 1


def test_an_act_is_overtaken_by_a_newer_one_and_by_being_taken_back() -> None:
    taken = Taken()
    taken.add("first")
    assert not taken.overtaken("first")
    taken.add("second")
    assert taken.overtaken("first")
    assert not taken.overtaken("third")
    taken.add("second/back")
    assert taken.overtaken("second")
    assert not taken.overtaken("second/back")


def test_keys_that_are_remembered_are_bounded() -> None:
    taken = Taken(kept=3)
    for number in range(5):
        taken.add(f"act-{number}")
    assert [number for number in range(5) if f"act-{number}" in taken] == [2, 3, 4]
