"""Media processes are held: by limits of the kernel, by our clock, and by their parent's life."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from atomic_guide.course.video import reasons
from atomic_guide.course.video.ffmpeg import Bounds, Ffmpeg, Overrun, Report
from atomic_guide.course.video.reasons import reason_for
from atomic_guide.course.video.settings import VideoSettings
from tests import media

WIDE = Bounds(memory=4 * 1024**3, cpu=60, file=10**9, wall=30, stall=30)
HAS_LANDLOCK = (
    "landlock" in Path("/sys/kernel/security/lsm").read_text() if Path("/sys/kernel/security/lsm").exists() else True
)


class Room:
    """A working folder, a source, and a program in ffmpeg's place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.source = folder / "source"
        self.secret = folder / "secret"
        self.folder.mkdir()
        self.source.write_text("the source")
        self.secret.write_text("another course's video")

    async def run(self, script: str, bounds: Bounds = WIDE) -> Report:
        program = self.source.with_name("program")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return await Ffmpeg(VideoSettings(ffmpeg=str(program))).run([], self.source, self.folder, bounds)

    def answer(self, name: str) -> str:
        return (self.folder / name).read_text().strip()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie has ended too; only its parent has not asked yet.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def test_limits_and_environment_are_set(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMIC_GUIDE_OPERATOR_TOKEN", "secret")
    await room.run("(ulimit -v; ulimit -t; ulimit -n; ulimit -c; nice; env | grep -c SECRET -i; pwd; umask) > told")
    memory, cpu, open_files, core, nice, secrets, folder, mask = room.answer("told").split()
    assert (int(memory), int(cpu)) == (WIDE.memory // 1024, 60)
    assert (open_files, core, int(nice) >= 10, secrets, folder) == ("64", "0", True, "0", str(room.folder))
    assert mask == "0077"


@pytest.mark.skipif(not HAS_LANDLOCK, reason="this kernel has no Landlock")
async def test_no_other_file_can_be_read_or_written(room: Room) -> None:
    await room.run(
        f"cat {room.source} > source; cat {room.secret} > secret; cat /etc/passwd > passwd;"
        f" echo x > {room.secret}; echo x > {room.source}; ls {room.folder.parent} > listed; true"
    )
    assert room.answer("source") == "the source"
    assert [room.answer(name) for name in ("secret", "passwd", "listed")] == ["", "", ""]
    assert (room.source.read_text(), room.secret.read_text()) == ("the source", "another course's video")


async def test_nothing_leaves_by_a_network(tmp_path: Path) -> None:
    """With the program itself: neither datagrams nor connections, nor a name that is asked for."""
    listener, datagrams = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener, datagrams:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        datagrams.bind(("127.0.0.1", 0))
        listener.settimeout(0.2)
        datagrams.settimeout(0.2)
        targets = [f"udp://127.0.0.1:{datagrams.getsockname()[1]}", f"tcp://127.0.0.1:{listener.getsockname()[1]}"]
        sending = ["-f", "lavfi", "-i", "anullsrc", "-t", "0.1", "-c:a", "mp2", "-f", "mpegts"]
        for target in [*targets, "tcp://localhost:9"]:
            report = await Ffmpeg(VideoSettings()).run([*sending, target], tmp_path, tmp_path, WIDE)
            assert report.status != 0, target
            assert "Operation not permitted" in report.text or "Failed to resolve" in report.text, report.text
        for receiver in (listener.accept, lambda: datagrams.recv(10)):
            with pytest.raises(TimeoutError):
                receiver()
        # Unconfined, the same words arrive: it is the confinement that held them.
        media.ffmpeg(*sending, targets[0])
        assert datagrams.recv(2000)


async def test_the_folder_for_temporary_files_is_the_runs_own(room: Room) -> None:
    await room.run("echo $TMPDIR > told; echo x > /tmp/left-behind && echo x > fooled; echo x > $TMPDIR/mine; true")
    assert room.answer("told") == str(room.folder)
    assert (room.folder / "mine").exists()
    assert not HAS_LANDLOCK or not (room.folder / "fooled").exists()


async def test_a_run_that_takes_too_long_or_stands_still_is_ended_with_its_children(room: Room) -> None:
    for bounds, kind in (
        (Bounds(WIDE.memory, 60, 10**9, wall=0.5, stall=30), "wall"),
        (Bounds(WIDE.memory, 60, 10**9, wall=30, stall=0.5), "stall"),
    ):
        with pytest.raises(Overrun) as ended:
            await room.run("sleep 100 & echo $! > child; echo $$ > self; wait", bounds)
        assert ended.value.kind == kind
        assert gone(int(room.answer("self")))
        await until_gone(int(room.answer("child")))


async def until_gone(pid: int) -> None:
    for _ in range(100):
        if gone(pid):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"process {pid} is still there")


async def test_processor_time_is_limited(room: Room) -> None:
    report = await room.run("while :; do :; done", Bounds(WIDE.memory, 1, 10**9, 30, 30))
    assert report.status == -signal.SIGXCPU
    assert reason_for(report.text, report.status) == reasons.TOO_SLOW


async def test_a_flood_of_words_is_kept_in_bounds(room: Room) -> None:
    report = await room.run("yes first | head -c 5000000 >&2; echo last >&2")
    assert len(report.head) + len(report.tail) < 100_000
    assert report.head.startswith("first")
    assert report.tail.endswith("last\n")


async def test_a_cancelled_run_leaves_no_process(room: Room) -> None:
    task = asyncio.create_task(room.run("echo $$ > self; exec sleep 100"))
    for _ in range(200):
        if (room.folder / "self").exists() and room.answer("self"):
            break
        await asyncio.sleep(0.02)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert gone(int(room.answer("self")))


async def test_a_run_dies_with_its_worker(room: Room) -> None:
    program = f"""
import asyncio
from pathlib import Path
from tests.integration.test_confine import Room
room = Room.__new__(Room)
room.folder, room.source = Path({str(room.folder)!r}), Path({str(room.source)!r})
asyncio.run(room.run("echo $$ > self; exec sleep 100"))
"""
    root = Path(__file__).parents[2]
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=root)
    for _ in range(400):
        if (room.folder / "self").exists() and room.answer("self"):
            break
        await asyncio.sleep(0.05)
    worker.kill()
    await asyncio.wait_for(worker.wait(), 10)
    await until_gone(int(room.answer("self")))


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(WIDE.memory, 60, 20_000, 30, 30), "unpacks to more"),
        (Bounds(90 * 1024**2, 60, 10**9, 30, 30), "memory|cannot be converted"),
    ],
)
async def test_ffmpeg_itself_ends_at_the_limits(tmp_path: Path, bounds: Bounds, words: str) -> None:
    source = media.clip(tmp_path / "a.mp4", seconds=1)
    ffmpeg = Ffmpeg(VideoSettings())
    report = await ffmpeg.run(
        [*ffmpeg.source(source), "-f", "avi", "-c:v", "rawvideo", "out.avi"], source, tmp_path, bounds
    )
    assert report.status != 0
    assert any(word in reason_for(report.text, report.status) for word in words.split("|")), report.text
