"""Members that vanish, rooms that nobody is in, and what the idle ones take."""

import asyncio
import gc
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import Socket
from tests.integration.chat_server import running
from tests.integration.members import SECONDS, member
from tests.unit.test_room import Stored, Wire

ALONE = ("unshare", "--map-root-user", "--net")
ROOMS = 400
ROOM_BYTES = 8000
"""Measured 5,200 with its member, without a transport; 10,000 may take 300 MB in a process."""


def _namespaces() -> bool:
    if shutil.which(ALONE[0]) is None:
        return False
    return subprocess.run([*ALONE, "true"], check=False, capture_output=True, timeout=10).returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="no network namespaces here (unshare --map-root-user --net)")
def test_who_vanishes_without_a_word_is_given_up_and_the_place_is_free(tmp_path: Path) -> None:
    """No FIN, no RST: packets just do not arrive any more."""
    command = [*ALONE, sys.executable, "-m", "tests.integration.vanishing", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    # Silence for 3 s, looked for once a second.
    assert 2.0 <= float(done.stdout) <= 6.0


async def test_a_room_that_nobody_is_in_leaves_memory_and_comes_back_with_everything(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(linger_seconds=0.0)) as course:
        rooms = course.chat.rooms
        async with member(course, "ada") as ada:
            for text in ("one", "two", "three"):
                await ada.send("message", content=text)
            await ada.messages(3)
            assert rooms.rooms == 1
        async with asyncio.timeout(SECONDS):
            while rooms.rooms:  # noqa: ASYNC110 - looks on from outside
                await asyncio.sleep(0.05)
        async with member(course, "grace", after=1) as grace:
            assert [message["content"] for message in await grace.messages(2)] == ["two", "three"]
            await grace.send("message", content="four")
            assert [message["seq"] for message in await grace.messages(1)] == [4]


async def test_an_idle_room_takes_little_memory() -> None:
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), LocalBus(), Stored())

    async def enter(number: int) -> None:
        socket = Socket(rooms, Wire(), Person(f"user-{number}", "Name", "learner"), 2**40, set())
        await rooms.join(CourseKey.of("tenant", f"course-{number}"), socket, None)

    await enter(0)
    tracemalloc.start()
    try:
        for number in range(1, ROOMS + 1):
            await enter(number)
        # What has been told of those who came is not kept.
        await asyncio.sleep(0.5)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / ROOMS
    finally:
        tracemalloc.stop()
    assert rooms.rooms == ROOMS + 1
    assert taken < ROOM_BYTES
    await rooms.drain()
