"""The project's own environment, `.venv`: made once, from locks, and brought up to date by content.

Every step leaves a stamp that holds a hash of what it was made from. A step whose stamp still fits is skipped, so a
warm start reads a few files and nothing else. The stamp is written last: whatever stops a step half way, the next
run does it again. One set-up at a time holds a lock on the project's folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.locks import LOCKS, PLAN, ROOT

VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
PYTHON = VENV / "bin" / "python"
# Longer than any cold set-up seen (2 minutes), short enough that a hung one is noticed.
LOCK_WAIT_SECONDS = 600
INSTALL_SECONDS = 900


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def say(text: str) -> None:
    """Print progress where it mixes with no result."""
    print(text, file=sys.stderr, flush=True)


def digest(parts: Iterable[bytes | str | Path]) -> str:
    """Hash texts, bytes and the contents of files, in order; a missing file counts as empty."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes() if part.is_file() else b""
        else:
            data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def stamped(name: str, value: str) -> bool:
    """Return whether the step `name` was last finished for `value`."""
    with contextlib.suppress(FileNotFoundError):
        return (STAMPS / name).read_text("utf-8") == value
    return False


def stamp(name: str, value: str) -> None:
    """Record that the step `name` is finished for `value`."""
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(value, "utf-8")


def missing_venv_message(version: tuple[int, int], which: Mapping[str, str | None]) -> str:
    """Say which package brings `venv`; `which` maps package tools to their paths."""
    package = f"python{version[0]}.{version[1]}-venv"
    if which.get("apt-get"):
        return f"Python's venv is not installed. Install it with: apt install {package}\nThen run this command again."
    return f"Python's venv is not installed. It is in the package python3-venv or {package} of your system."


def check_venv() -> None:
    """Raise `SetupError` where an environment cannot be made; nothing has been written yet then."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(missing_venv_message(sys.version_info[:2], {"apt-get": shutil.which("apt-get")}))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the set-up lock, waiting at most `LOCK_WAIT_SECONDS` for another set-up of the same folder."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SetupError("another dev.py has been setting up this folder for ten minutes") from None
                if not told:
                    say("waiting for another dev.py that is setting up this folder")
                    told = True
                time.sleep(0.2)
        yield
    finally:
        os.close(folder)


def run(command: list[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a step of the set-up; its output appears only where it fails.

    Raises `SetupError` with the last lines of the output.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=INSTALL_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SetupError(f"{Path(command[0]).name} did not finish within {INSTALL_SECONDS} s") from None
    if done.returncode:
        tail = "\n".join(done.stdout.decode("utf-8", "replace").splitlines()[-30:])
        raise SetupError(f"{' '.join(command[:4])} ... failed:\n{tail}")


def make() -> bool:
    """Make `.venv` where it is missing, half made, or of another Python or folder; returns whether it did."""
    value = f"{ROOT} {sys.base_prefix} {sys.version_info[:2]}"
    if stamped("python", value) and PYTHON.exists():
        return False
    if VENV.exists():
        shutil.rmtree(VENV)
    say(f"making .venv with Python {sys.version_info[0]}.{sys.version_info[1]}")
    # This script may be run by the very Python that is being replaced.
    python = getattr(sys, "_base_executable", sys.executable)
    try:
        run([python, "-m", "venv", *(["--without-pip"] if shutil.which("uv") else []), str(VENV)])
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise
    stamp("python", value)
    return True


def _uv_environment() -> dict[str, str]:
    """Return the environment for uv, with the index that pip is told to use."""
    env = dict(os.environ, UV_PYTHON_DOWNLOADS="never")
    for ours, theirs in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL")):
        if theirs in env:
            env.setdefault(ours, env[theirs])
    return env


def uv() -> str | None:
    """Return uv's path: the installed one, else one installed into `.venv` from its lock, else None."""
    found = shutil.which("uv") or shutil.which("uv", path=str(VENV / "bin"))
    if found:
        return found
    try:
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKS / "uv.txt")])
    except SetupError:
        say("uv cannot be had; going on with pip")
        return None
    return str(VENV / "bin" / "uv")


def install(arguments: list[str]) -> None:
    """Install into `.venv`, with uv where it can be had and works, else with pip."""
    tool = None if os.environ.get("ATOMIC_GUIDE_DEV_PIP") else uv()
    if tool:
        try:
            run([tool, "pip", "install", "--quiet", "--python", str(PYTHON), *arguments], env=_uv_environment())
        except SetupError as error:
            say(f"{error}\ntrying again with pip")
        else:
            return
    if not (VENV / "bin" / "pip").exists():
        run([str(PYTHON), "-m", "ensurepip"])
    run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def install_locks(*names: str) -> None:
    """Bring `.venv` up to the locks `names` and those below them; every file's hash is checked."""
    names = tuple(dict.fromkeys(lock for name in names for lock in (*PLAN[name].below, name)))
    stale = [name for name in names if not stamped(name, digest([LOCKS / f"{name}.txt"]))]
    if not stale:
        return
    say(f"installing {', '.join(stale)}")
    # All of them, as checking hashes asks for one of every dependency, installed or not.
    install(["--require-hashes", *(word for name in names for word in ("-r", str(LOCKS / f"{name}.txt")))])
    for name in stale:
        stamp(name, digest([LOCKS / f"{name}.txt"]))


def install_project() -> None:
    """Install the project itself, editable, with the locked build tools."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = {key: project.get(key) for key in ("build-system", "project")}
    value = digest([json.dumps([parts, project["tool"]["hatch"]], sort_keys=True), ROOT / "hatch_build.py"])
    if not stamped("project", value):
        install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)])
        stamp("project", value)


def prepare(*names: str) -> None:
    """Make `.venv` hold the runtime, the project and the further locks `names`, or leave no new one behind."""
    made = make()
    try:
        install_locks("runtime", "build", *names)
        install_project()
    except BaseException:
        if made:
            shutil.rmtree(VENV, ignore_errors=True)
        raise
