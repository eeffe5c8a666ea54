"""What `dev.py check` checks, each part with its time; runs in `.venv`.

All parts run, two at a time, whatever fails. A part is a list of commands or a function that yields findings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tools import drift, frontend, pages, pins
from tools.environment import VENV
from tools.locks import ROOT

BIN = VENV / "bin"
# A check that takes longer is stuck: the slowest, types on a cold cache, needs about a minute.
LIMIT_SECONDS = 600
# Of one part that failed, while all run; a part called by its name prints everything.
SHOWN_LINES = 40


class Outcome(NamedTuple):
    """How a part ended; `text` is what it printed, or why it was skipped."""

    state: str
    text: str = ""


def _command(*command: str, cwd: Path = ROOT, env: Mapping[str, str] = os.environ) -> Outcome:
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**env, "NO_COLOR": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome("FAILED", f"not finished within {LIMIT_SECONDS} s")
    return Outcome("FAILED" if done.returncode else "ok", done.stdout.decode("utf-8", "replace"))


def _findings(problems: Iterator[str]) -> Outcome:
    found = list(problems)
    return Outcome("FAILED" if found else "ok", "\n".join(found))


def types() -> Outcome:
    """Check types strictly, in every folder that exists."""
    names = ("src", "tests", "tools", "bench", "examples", "dev.py", "hatch_build.py")
    present = [name for name in names if (ROOT / name).exists()]
    return _command(str(BIN / "mypy"), *present)


def front_end() -> Outcome:
    """Check the front end's types and run its unit tests."""
    if not frontend.exists():
        return Outcome("skipped", "there is no front end yet")
    command, env = frontend.install_packages()
    checked = _command(*command, "run", "--if-present", "check", cwd=frontend.SOURCES, env=env)
    if checked.state != "ok":
        return checked
    return _command(*command, "run", "--if-present", "test", cwd=frontend.SOURCES, env=env)


PARTS: dict[str, Callable[[], Outcome]] = {
    "types": types,
    "frontend": front_end,
    "format": lambda: _command(str(BIN / "ruff"), "format", "--check", "--output-format", "concise", "."),
    "lint": lambda: _command(str(BIN / "ruff"), "check", "--output-format", "concise", "."),
    "imports": lambda: _command(str(BIN / "lint-imports"), "--no-cache", "--no-logo"),
    "locks": lambda: _findings(pins.problems()),
    "migrations": lambda: _findings(drift.problems()),
    "docs": lambda: _findings(pages.problems()),
}


def _timed(part: Callable[[], Outcome]) -> tuple[Outcome, float]:
    begun = time.monotonic()
    try:
        outcome = part()
    except Exception as error:  # noqa: BLE001 - a part that breaks is a finding, and the others still run
        outcome = Outcome("FAILED", f"{type(error).__name__}: {error}")
    return outcome, time.monotonic() - begun


def main(names: list[str]) -> int:
    """Run the parts named, or all; returns 1 where any failed and 2 where a name is unknown."""
    if unknown := set(names) - set(PARTS):
        print(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
        return 2
    failed = []
    with ThreadPoolExecutor(2) as pool:
        running = {pool.submit(_timed, PARTS[name]): name for name in names or PARTS}
        for done in as_completed(running):
            outcome, seconds = done.result()
            print(f"{running[done]:<11}{outcome.state:<8}{seconds:6.1f} s", flush=True)
            if outcome.state == "FAILED":
                failed.append(running[done])
            if outcome.state != "ok":
                lines = outcome.text.splitlines()
                more = [f"(+{len(lines) - SHOWN_LINES} lines; dev.py check {running[done]})"] * (
                    len(lines) > SHOWN_LINES
                )
                shown = lines if names else lines[:SHOWN_LINES] + more
                print("\n".join(f"    {line}" for line in shown), flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
