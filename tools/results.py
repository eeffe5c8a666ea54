"""Every benchmark, and what it printed in `bench/RESULTS.md`: `python3 dev.py bench all [NAME ...] [--share S]`.

A benchmark with sections runs section by section. What ran replaces what the page said of it; the rest of the page
stays, so that a long one need not be run again for a short one. Each stands under its machine, load, commit and day.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tools.locks import ROOT

PAGE = ROOT / "bench" / "RESULTS.md"
LIMIT_SECONDS = 3 * 3600
"""Of one section; the longest take half an hour."""

_TITLE = """# What the benchmarks measured

Printed by `python3 dev.py bench all`, which replaces what it runs again. Machines are shared: read the ratios to peers
of the same run, and the load beside them. A bar that was missed says so.
"""


class Part(NamedTuple):
    """A benchmark, or one section of it."""

    bench: str
    section: str = ""

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.bench} {self.section}".strip()


def parts() -> list[Part]:
    """Return every benchmark by its sections, in the order of their names."""
    folder = ROOT / "bench"
    found = []
    for bench in sorted(path.stem for path in folder.glob("[a-z]*.py")):
        sections = []
        if "run_sections" in (folder / f"{bench}.py").read_text("utf-8"):
            sections = sorted(path.stem.removeprefix(f"_{bench}_") for path in folder.glob(f"_{bench}_*.py"))
        found += [Part(bench, section) for section in sections or [""]]
    return found


def read_page(text: str) -> dict[str, str]:
    """Return what a page says of each part, by its name."""
    pieces = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(pieces[::2], pieces[1::2], strict=True)}


def write_page(results: Mapping[str, str]) -> str:
    """Return the page that says this, in the order of the names."""
    return _TITLE + "".join(f"\n## {name}\n\n{results[name]}\n" for name in sorted(results))


def told(output: str, code: int, facts: str) -> str:
    """Return what the page says of one run."""
    verdict = "" if code == 0 else f"Ended with {code}.\n\n"
    return f"{facts}\n\n{verdict}```text\n{output.strip()}\n```"


def facts() -> str:
    """Return what figures depend on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=10
    ).stdout.strip()
    today = datetime.now(UTC).date().isoformat()
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {platform.system()}"
    return f"{today}, {machine}, load {load:.1f} before, commit {commit or 'unknown'}"


def _run(command: list[str]) -> tuple[str, int]:
    """Run a benchmark, show its lines as they come, and return them with its exit code."""
    lines = []
    limited = ["timeout", str(LIMIT_SECONDS), *command]
    with subprocess.Popen(limited, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None  # noqa: S101 - it is a pipe
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines), running.returncode


def _arguments(part: Part, options: argparse.Namespace) -> list[str]:
    found = [part.section] if part.section else []
    source = (ROOT / "bench" / f"{part.bench}.py").read_text("utf-8")
    if options.share != 1 and (part.section or '"--share"' in source):
        found += ["--share", str(options.share)]
    if options.traces is not None and '"--traces"' in source:
        found += ["--traces", str(options.traces)]
    return found


def main() -> int:
    """Run what was asked for, and write the page after each; 1 where a bar was missed or a benchmark failed."""
    every = parts()
    parser = argparse.ArgumentParser(prog="dev.py bench all", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a benchmark, or one section as rooms:one; none: all")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full size, where there is one")
    parser.add_argument("--traces", type=Path, help="folder of timestamp,value files for what replays demand")
    options = parser.parse_args()
    wanted = [part for part in every if not options.names or {part.bench, ":".join(part)} & set(options.names)]
    known = {part.bench for part in every} | {":".join(part) for part in every}
    if unknown := set(options.names) - known:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    failed = []
    for part in wanted:
        print(f"\n=== {part.name}", flush=True)
        before = facts()
        output, code = _run([sys.executable, "-m", f"bench.{part.bench}", *_arguments(part, options)])
        if code:
            failed.append(part.name)
        results = read_page(PAGE.read_text("utf-8")) if PAGE.exists() else {}
        PAGE.write_text(write_page({**results, part.name: told(output, code, before)}), "utf-8")
    print(f"\n{len(wanted) - len(failed)} of {len(wanted)} kept all of their bars; see {PAGE.relative_to(ROOT)}")
    if failed:
        print(f"not: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
