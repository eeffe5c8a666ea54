"""The subcommands of `dev.py`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tools import browser, environment, frontend, locks
from tools.environment import PYTHON, VENV, SetupError, say
from tools.locks import ROOT

_EXTRAS = ("geo", "parquet", "recovery", "loadtest", "rehearsal", "tracing")

# dev.py's own switch, as `atomic-guide` refuses variables that it does not know; and a switch that containers like to
# set, with which each of a suite's hundreds of processes would compile all that it imports.
_OURS = {"ATOMIC_GUIDE_DEV_PIP", "PYTHONDONTWRITEBYTECODE"}


def _become(*command: str, folder: Path = ROOT, **variables: str) -> int:
    """Replace this process, so that signals and the exit status are the command's own."""
    os.chdir(folder)
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    os.execve(command[0], list(command), {**kept, **variables})  # noqa: S606 - no shell is what is wanted


def _set_up(*names: str, built: bool = False) -> None:
    environment.check_venv()
    with environment.alone():
        environment.prepare(*names)
        if built:
            frontend.build()


def run(arguments: Sequence[str]) -> int:
    """Start Atomic Guide with embedded engines; options go to `atomic-guide serve`."""
    # With all extras: whoever has a clone tries every command of it.
    _set_up(*_EXTRAS, built=True)
    return _become(str(VENV / "bin" / "atomic-guide"), "serve", *arguments, folder=Path.cwd())


def test(arguments: Sequence[str]) -> int:
    """Run the whole suite, or what the arguments of pytest choose."""
    _set_up("dev", "docs", *_EXTRAS, built=True)
    chromium = browser.provide() or ""
    # Whole files: each sets its server or browser up once, and its tests may build on one another.
    chosen = arguments or ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    return _become(str(PYTHON), "-m", "pytest", *chosen, GUIDE_TEST_CHROMIUM=chromium)


def check(arguments: Sequence[str]) -> int:
    """Check format, lint, types, imports, locks, migrations, docs and front end; or those named."""
    _set_up("dev")
    return _become(str(PYTHON), "-m", "tools.checks", *arguments)


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmark NAME with its options; `all` or none: every one, into bench/RESULTS.md."""
    known = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if not path.stem.startswith("_"))
    if arguments and arguments[0] not in {*known, "all"}:
        say(f"no benchmark {arguments[0]!r}; there are: {', '.join(known) or 'none'}")
        return 2
    _set_up("dev", *_EXTRAS)
    if arguments and arguments[0] != "all":
        return _become(str(PYTHON), "-m", f"bench.{arguments[0]}", *arguments[1:])
    return _become(str(PYTHON), "-m", "tools.results", *arguments[1:])


def mutants(arguments: Sequence[str]) -> int:
    """Change one thing at a time in the modules that decide, NAME or all, and tell which changes no test notices."""
    _set_up("dev", "mutants")
    return _become(str(PYTHON), "-m", "tools.mutants", *arguments)


def docs(arguments: Sequence[str]) -> int:
    """Print the reference pages of `docs/` anew; `--site DIR`: all pages as a site; `--pictures`: those of policies."""
    if list(arguments) == ["--pictures"]:
        _set_up()
        return _become(str(PYTHON), "-m", "tools.pictures")
    if arguments and arguments[0] == "--site":
        _set_up("docs")
        return _become(str(PYTHON), "-m", "tools.site", *arguments[1:])
    _set_up()
    return _become(str(PYTHON), "-m", "tools.reference", *arguments)


def audit(arguments: Sequence[str]) -> int:
    """Look every locked version up in the vulnerability advisories; skipped, visibly, where none can be reached."""
    _set_up("audit")
    return _become(str(PYTHON), "-m", "tools.audit", *arguments)


def sbom(arguments: Sequence[str]) -> int:
    """Write a CycloneDX bill of materials: FILE, or sbom.cdx.json."""
    _set_up()
    return _become(str(PYTHON), "-m", "tools.sbom", *arguments)


def lock(arguments: Sequence[str]) -> int:
    """Resolve `pyproject.toml` anew into `locks/`, with the newest versions that fit."""
    if arguments:
        say("dev.py lock takes no arguments")
        return 2
    environment.check_venv()
    with environment.alone():
        environment.make()
        tool = environment.uv()
        if tool is None:
            raise SetupError("writing the locks needs uv")
        locks.compile_all(tool)
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    command.__name__: command for command in (run, test, check, bench, mutants, docs, audit, sbom, lock)
}


def main(arguments: Sequence[str]) -> int:
    """Run one subcommand; returns the exit status, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="dev.py", description="Set up, run, test and check Atomic Guide.")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="options of the command")
    width = max(map(len, COMMANDS))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(f"  {name:{width}}  {command.__doc__}" for name, command in COMMANDS.items())
    chosen = parser.parse_args(list(arguments))
    try:
        return COMMANDS[chosen.command](chosen.rest)
    except SetupError as error:
        say(f"dev.py: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
