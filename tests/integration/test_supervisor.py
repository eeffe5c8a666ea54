"""The data directory's lock: one supervisor, its children, nobody else."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from atomic_guide.app import supervisor
from atomic_guide.app.processes import Wanted
from atomic_guide.app.supervisor import DataLock, holder, until_orphaned
from atomic_guide.errors import ConfigurationError, Unavailable

CHILD = """
import sys
from pathlib import Path
from atomic_guide.app.processes import Wanted
from atomic_guide.app.supervisor import DataLock
from atomic_guide.errors import ConfigurationError
try:
    lock = DataLock.admitted(Path(sys.argv[1]), int(sys.argv[2]))
except ConfigurationError as error:
    sys.exit(f"refused: {error}")
print("admitted")
"""


def test_a_second_server_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    first = DataLock.acquire(tmp_path)
    first.note("process 12 at http://127.0.0.1:8000")
    with pytest.raises(ConfigurationError, match=r"in use by process 12 at http://127\.0\.0\.1:8000.*--data"):
        DataLock.acquire(tmp_path)
    assert holder(tmp_path) == "process 12 at http://127.0.0.1:8000"
    first.release()
    assert holder(tmp_path) is None
    DataLock.acquire(tmp_path).release()


def test_a_new_data_directory_is_private(tmp_path: Path) -> None:
    DataLock.acquire(tmp_path / "new").release()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file/below cannot be used"):
        DataLock.acquire(tmp_path / "file" / "below")


def test_a_child_is_admitted_by_the_inherited_lock_and_keeps_it(tmp_path: Path) -> None:
    lock = DataLock.acquire(tmp_path)
    command = [sys.executable, "-c", CHILD + "sys.stdout.flush(); sys.stdin.read()", str(tmp_path), str(lock.fileno())]
    child = subprocess.Popen(
        command, pass_fds=[lock.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "admitted\n"
    lock.release()
    with pytest.raises(ConfigurationError, match="in use"):
        DataLock.acquire(tmp_path)
    child.communicate(timeout=10)
    DataLock.acquire(tmp_path).release()


def test_looking_for_the_holder_makes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


async def test_a_child_notices_that_its_supervisor_is_gone() -> None:
    # Also one that died before the child could ask the kernel to be told.
    async with asyncio.timeout(10):
        await until_orphaned(os.getppid() + 1)


def one_worker(lock: DataLock, listener: socket.socket) -> supervisor.Children:
    children = supervisor.Children(lock, listener, [])
    children.scale(Wanted(worker=1))
    return children


async def test_a_child_that_ends_at_once_again_and_again_is_given_up_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_RESTARTS_BEFORE_GIVING_UP", 0)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    lock = DataLock.acquire(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(Unavailable, match="worker-0 ended 1 times"):
            await asyncio.wait_for(one_worker(lock, listener).run(), 20)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(Unavailable, match="worker-0"):
            await asyncio.wait_for(one_worker(lock, listener).run(), 20)
    lock.release()


def test_a_stranger_is_not_admitted(tmp_path: Path) -> None:
    lock = DataLock.acquire(tmp_path)
    with (tmp_path / "other").open("w") as other:
        stranger = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path), str(other.fileno())],
            pass_fds=[other.fileno()],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert stranger.returncode == 1
    assert "refused" in stranger.stderr
    closed = os.dup(lock.fileno())
    os.close(closed)
    with pytest.raises(ConfigurationError, match="not admitted"):
        DataLock.admitted(tmp_path, closed)
    lock.release()
