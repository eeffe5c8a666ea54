"""Whether the tests notice a change of what decides: `python3 dev.py mutants [NAME ...] [OPTIONS]`.

mutmut changes one thing at a time in a module of `tools/deciding.py` (a sign, a bound, a default, a word) and runs the
module's tests; a change that none of them notices has survived. Its score is the share that did not. Where a module
has more changes than the sample, that many are drawn with a fixed seed, so that two runs try the same ones. Changes
that nothing can notice are listed with their reason in `tools/equivalent_mutants.toml`, and do not count.

What was measured is kept in `build/mutants/`: a module is tried again only when it, its tests or the sample change.
`--write` puts the table of all that was measured into docs/development.md.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mutmut.mutation.file_mutation import mutate_file_contents

from tools.deciding import DECIDING, Module
from tools.environment import digest
from tools.locks import ROOT

LEAST_SCORE = 0.85
SAMPLE, SEED = 120, 20260901
LIMIT_SECONDS = 1800
"""Of one module; the longest takes five minutes on a core."""

FOLDER = ROOT / "build" / "mutants"
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.toml"
PAGE = ROOT / "docs" / "development.md"
_BEGIN, _END = "<!-- mutants -->", "<!-- /mutants -->"
_NOTICED = {"killed", "timeout", "segfault"}

_SETTINGS = """[tool.mutmut]
source_paths = ["src"]
only_mutate = ["{source}"]
also_copy = ["docs"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile", "mutants"]
timeout_multiplier = 3.0
timeout_constant = 2.0
use_git_change_detection = false

"""


class Survivor(NamedTuple):
    """A change that no test noticed."""

    name: str
    was: str
    becomes: str


class Drawing(NamedTuple):
    """How many changes of a module are tried at most, and which."""

    most: int = SAMPLE
    seed: int = SEED


class Score(NamedTuple):
    """What became of the changes of one module: `mutants` there are, `tried` of them, and how those ended."""

    day: str
    mutants: int
    tried: int
    outcomes: dict[str, int]
    survivors: list[Survivor]
    equivalent: int = 0
    """Of the tried ones: changes that nothing can notice; not among the survivors."""

    @property
    def noticed(self) -> int:
        """How many a test noticed."""
        return self.tried - self.equivalent - len(self.survivors)

    @property
    def share(self) -> float:
        """The share that was noticed of those that can be."""
        return self.noticed / max(self.tried - self.equivalent, 1)


def measure(name: str, module: Module, drawing: Drawing, children: int) -> Score:
    """Try a module's changes. Raises `RuntimeError` where its tests fail without any."""
    source = f"src/atomic_guide/{module.source}"
    place = _workspace(name, source, module)
    every = _mutants(place, source)
    drawn = random.Random(drawing.seed).sample(every, drawing.most) if len(every) > drawing.most else every
    _mutmut(place, "run", "--max-children", str(children), *sorted(drawn))
    ended = dict(re.findall(r"^ +(\S+): (.+)$", _mutmut(place, "results", "--all", "1"), re.MULTILINE))
    outcomes = Counter(ended[one] for one in drawn)
    left = [_survivor(place, one) for one in drawn if ended[one] not in _NOTICED]
    return Score(datetime.now(UTC).date().isoformat(), len(every), len(drawn), dict(outcomes), left)


def without_equivalents(name: str, score: Score) -> Score:
    """A score without the changes that nothing can notice, as the file says of the line before and after."""
    known = {(one["was"], one["becomes"]) for one in tomllib.loads(EQUIVALENT.read_text("utf-8")).get(name, [])}
    survivors = [one for one in score.survivors if (one.was, one.becomes) not in known]
    return score._replace(survivors=survivors, equivalent=len(score.survivors) - len(survivors))


def _mutants(place: Path, source: str) -> list[str]:
    path = place / source
    dotted = source.removeprefix("src/").removesuffix(".py").replace("/", ".")
    return [f"{dotted}.{name}" for name in mutate_file_contents(str(path), path.read_text("utf-8")).mutant_names]


def _workspace(name: str, source: str, module: Module) -> Path:
    """A folder for mutmut, which copies what it changes into it, with the project's settings of pytest and its own."""
    place = FOLDER / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for folder in ("src", "tests", "docs"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__", "static", "e2e"))
    # What is decorated is left as it is; without its cache a function decides the same.
    path = place / source
    path.write_text(re.sub(r"^@functools\.lru_cache.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    settings = _SETTINGS.format(source=source, tests=json.dumps([f"tests/{test}" for test in module.tests]))
    pytest_ini = re.search(
        r"^\[tool\.pytest.*?(?=^\[)", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (place / "pyproject.toml").write_text(settings + (pytest_ini.group() if pytest_ini else ""), "utf-8")
    return place


def _mutmut(place: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"mutmut {arguments[0]} failed in {place}:\n{tail}")
    return done.stdout


def _survivor(place: Path, mutant: str) -> Survivor:
    """A change as the lines that it took away and put in."""
    lines = [line for line in _mutmut(place, "show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    was, becomes = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Survivor(mutant.rpartition(".")[2], was, becomes)


def _stamp(module: Module, drawing: Drawing) -> str:
    tests = [ROOT / "tests" / test for test in module.tests]
    return digest([str(drawing.most), str(drawing.seed), ROOT / "src" / "atomic_guide" / module.source, *tests])


def _kept(name: str, stamp: str) -> Score | None:
    path = FOLDER / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if found.pop("stamp", None) != stamp:
        return None
    found["survivors"] = [Survivor(*one) for one in found["survivors"]]
    return Score(**found)


def _row(name: str, score: Score) -> str:
    source = f"`{DECIDING[name].source}`"
    return (
        f"| {source} | {score.mutants} | {score.tried} | {score.noticed} | {len(score.survivors)} |"
        f" {score.equivalent} | {score.share:.0%} | {score.day} |"
    )


def _table() -> Iterator[str]:
    yield "| module | changes | tried | noticed | survived | equivalent | score | on |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in DECIDING:
        path = FOLDER / f"{name}.json"
        if path.exists():
            score = _kept(name, json.loads(path.read_text("utf-8"))["stamp"])
            if score is not None:
                yield _row(name, without_equivalents(name, score))


def write_page() -> None:
    """Put what was measured into the page."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{chr(10).join(_table())}\n{_END}{after}", "utf-8")


def main() -> int:
    """Measure what was asked for; 1 where a module is below the bar."""
    parser = argparse.ArgumentParser(prog="dev.py mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(DECIDING)}; none: all")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="changes of a module that are tried at most")
    parser.add_argument("--seed", type=int, default=SEED, help="which are drawn; another tells how the rest fare")
    parser.add_argument("--children", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help="put the table into docs/development.md")
    options = parser.parse_args()
    if unknown := set(options.names) - set(DECIDING):
        parser.error(f"no module {', '.join(sorted(unknown))}; there are: {', '.join(DECIDING)}")
    drawing, low = Drawing(options.sample, options.seed), []
    for name in options.names or DECIDING:
        stamp = _stamp(DECIDING[name], drawing)
        score = _kept(name, stamp)
        if score is None:
            score = measure(name, DECIDING[name], drawing, options.children)
            (FOLDER / f"{name}.json").write_text(json.dumps({"stamp": stamp, **score._asdict()}), "utf-8")
        score = without_equivalents(name, score)
        print(f"{name}: {score.noticed} of {score.tried - score.equivalent} noticed, {score.share:.0%}"
              f" ({score.mutants} changes; {score.outcomes})", flush=True)  # fmt: skip
        for one in score.survivors:
            print(f"    {one.name}\n        - {one.was}\n        + {one.becomes}")
        low += [name] if score.share < LEAST_SCORE else []
    if options.write:
        write_page()
    print(f"below {LEAST_SCORE:.0%}: {', '.join(low)}" if low else f"all at least {LEAST_SCORE:.0%}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
