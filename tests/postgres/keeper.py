"""Ends PostgreSQL servers, and watches that none is left behind: `python -S keeper.py LEASE FOLDER`.

Every process that uses the servers below FOLDER holds a shared lock on the file LEASE. The kernel lets go of it
however such a process ends, so the keeper, which waits to have the lock for itself, needs no list of its users and
no clock. Only the standard library is used: a bare interpreter runs this file, and the harness imports it.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc/self/stat")
_POLL = 0.005
_IPC_RMID = 0


def command(pid: int) -> str:
    """A process's command line; empty where it is dead, a zombie too."""
    if _PROC.exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
        except OSError:
            return ""
    return _ps("-ww", "-o", "command=", "-p", str(pid)).strip()


def children(parent: int) -> list[int]:
    """The direct children of a process, which for a postmaster are all its processes."""
    if not _PROC.exists():
        table = (line.split() for line in _ps("-A", "-o", "pid=,ppid=").splitlines())
        return [int(pid) for pid, of in table if int(of) == parent]
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in brackets, may hold spaces.
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(folder.name))
    return found


def _ps(*arguments: str) -> str:
    done = subprocess.run(["ps", *arguments], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    return done.stdout


def postmaster(data: Path) -> int | None:
    """The process that runs a data folder; the folder in its command line tells it from a later one of its number."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if str(data) in command(pid) else None


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each process that still is there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(pids: Iterable[int], limit: float) -> bool:
    """Whether all of them ended within `limit` seconds."""
    deadline = time.monotonic() + limit
    left = [pid for pid in pids if command(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL)
        left = [pid for pid in left if command(pid)]
    return not left


def freeze(data: Path) -> list[int]:
    """Stop every process of a server in its tracks, the postmaster first, so that it starts no other."""
    parent = postmaster(data)
    if parent is None:
        return []
    send([parent], signal.SIGSTOP)
    family = [parent, *children(parent)]
    send(family, signal.SIGSTOP)
    return family


def kill(data: Path) -> None:
    """End every process of a server as a power cut would; what they leave in the kernel is taken away."""
    family = freeze(data)
    send(family, signal.SIGKILL)
    wait_gone(family, 10)
    file = data / "postmaster.pid"
    with contextlib.suppress(OSError, IndexError, ValueError):
        # Its seventh line is "key id" of the System V segment that guards the folder; a killed server leaves it behind.
        segment = int(file.read_text(encoding="utf-8").splitlines()[6].split()[1])
        ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
    # The server takes the number of a dead process that nobody has waited for as a server that runs.
    file.unlink(missing_ok=True)


def end(data: Path, limit: float = 5.0) -> None:
    """End a server that is no longer needed, paused or not: at once, killed after `limit` seconds."""
    parent = postmaster(data)
    if parent is None:
        return
    family = [parent, *children(parent)]
    send([parent], signal.SIGQUIT)
    send(family, signal.SIGCONT)
    if not wait_gone(family, limit):
        kill(data)


def end_all(folder: Path) -> None:
    """End every server below a folder, then remove the folder."""
    for file in folder.glob("**/postmaster.pid"):
        end(file.parent)
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Wait until nobody holds the lease, then end everything."""
    lease, folder = Path(sys.argv[1]), Path(sys.argv[2])
    # Ctrl-C and a polite end are meant for the users; the keeper goes when they have gone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with lease.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end_all(folder)


if __name__ == "__main__":
    main()
