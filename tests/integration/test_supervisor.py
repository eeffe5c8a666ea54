"""The data directory's lock: one supervisor, its children, nobody else."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from atomic_guide.app.supervisor import DataLock, holder
from atomic_guide.errors import ConfigurationError

CHILD = """
import sys
from pathlib import Path
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
