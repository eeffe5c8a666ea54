"""The folder in which all servers of one run live, and the lease that keeps them alive.

The processes of a run (two with pytest-xdist) share one folder. Each holds the lease until it ends; when the last
one is gone, in whatever way, the keeper ends the servers and removes the folder.
"""

import contextlib
import fcntl
import functools
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.postgres.programs import PostgresError, Programs, account, find_programs, give, run

USER = "guide"
_KEEPER = Path(__file__).with_name("keeper.py")
# Linux's FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_TOPDIR_FL; elsewhere the call is refused.
_GET_FLAGS, _SET_FLAGS, _TOP_FOLDER = 0x8008_6601, 0x4008_6602, 0x0002_0000
_CONFIGURATION = Path(__file__).with_name("postgresql.conf")


class Home:
    """One run's folder. `path` may be entered by the server's account, which owns `data` below it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Keep the run's other processes from doing the same meanwhile."""
        with (self.path / f"{what}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def password(self) -> str:
        """The password of every server of this run."""
        return (self.path / "password").read_text(encoding="utf-8")

    def prepare(self) -> None:
        """Make what the first process of a run makes: the password, the data's folder, the keeper."""
        with self.alone("home"):
            if self.data.exists():
                return
            with os.fdopen(os.open(self.path / "password", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(16))
            give(self.path / "password")
            subprocess.Popen(  # it outlives this process
                [sys.executable, "-S", str(_KEEPER), str(self.path / "lease"), str(self.path)],
                cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            ).returncode = 0  # fmt: skip
            self.data.mkdir(mode=0o711)
            _spread(give(self.data))

    def programs(self, wanted: Programs | None = None) -> Programs:
        """Programs that the server's account can run: those wanted, or what `find_programs` finds."""
        with self.alone("programs"):
            return (wanted or find_programs()).reachable(self.path)

    def folder(self, name: str) -> Path:
        """A new folder for the servers' account, with files that belong to none of the data folders."""
        path = self.data / f"{name}-{secrets.token_hex(4)}"
        path.mkdir(mode=0o711)
        return give(path)

    def seeds(self, programs: Programs, count: int) -> list[Path]:
        """`count` initialised data folders, stopped, of different system identifiers; made once for the run."""
        version = programs.run("postgres", "--version", cwd=self.path).split()[2]
        paths = [self.data / f"seed-{version}-{number}" for number in range(count)]
        with self.alone("seeds"), ThreadPoolExecutor(max_workers=2) as pool:
            missing = [path for path in paths if not path.exists()]
            for _ in pool.map(functools.partial(self._initialise, programs), missing):
                pass
        return paths

    def copy(self, source: Path, target: Path) -> None:
        """Copy a data folder whose server is stopped."""
        run(["cp", "-Rp", str(source), str(target)], cwd=self.data, **account())
        _spread(target / "base")

    def _initialise(self, programs: Programs, path: Path) -> None:
        unfinished = path.with_name(f"{path.name}.unfinished")
        # Not synced here: a seed that a power cut spoils belongs to a run that it ended.
        programs.run(
            "initdb", "--pgdata", str(unfinished), "--username", USER, "--pwfile", str(self.path / "password"),
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions",
            cwd=self.data,
        )  # fmt: skip
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_CONFIGURATION.read_text(encoding="utf-8"))
        unfinished.rename(path)


def _spread(folder: Path) -> None:
    """Ask ext4 to lay the folders made in this one out apart from each other (`chattr +T`); a hint, and no more.

    Without a journal ext4 looks past every inode of the neighbourhood that was deleted in the last minutes: where
    databases come and go, making the 300 files of one took 300 ms, and takes 6 ms so.
    """
    with contextlib.suppress(OSError), _opened(folder) as descriptor:
        flags = int.from_bytes(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)), sys.byteorder)
        fcntl.ioctl(descriptor, _SET_FLAGS, (flags | _TOP_FOLDER).to_bytes(8, sys.byteorder))


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@functools.cache
def home() -> Home:
    """This process's run. Raises `PostgresError` where its folder cannot be had."""
    base = Path(tempfile.gettempdir()).resolve()
    run_name = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)
    path = base / f"guide-postgres-{run_name[:16]}"
    # More than once only where the keeper of the same run is just removing the folder.
    for _ in range(10):
        with contextlib.suppress(OSError):
            path.mkdir(mode=0o711, exist_ok=True)
            # A bare descriptor: it stays open, and so locked, for as long as this process lives.
            lease = os.open(path / "lease", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lease, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(lease), (path / "lease").stat()):
                found = Home(path)
                found.prepare()
                return found
    raise PostgresError(f"the folder {path} cannot be used for this run's servers; remove it and run again")
