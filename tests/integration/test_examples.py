"""Each engine runs by itself in the programs of `examples/`, and they print what docs/engines.md says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import pages
from tools.locks import ROOT

PAGE = ROOT / "docs" / "engines.md"
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
FIGURE = re.compile(r"\d[\d,.]*")
"""Those of a forecast differ in their last digit from one processor to another."""


def printed() -> dict[str, str]:
    """What the page says that they print, by the heading above it."""
    sections = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    blocks = ((name, pages.FENCE.search(text)) for name, text in zip(sections[1::2], sections[2::2], strict=True))
    return {name.lower(): found["body"] for name, found in blocks if found is not None}


def test_the_page_has_them_all() -> None:
    assert sorted(printed()) == [program.stem for program in PROGRAMS]
    assert all(f"examples/{program.name}" in PAGE.read_text("utf-8") for program in PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_an_example_prints_what_the_page_says(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    expected = printed()[program.stem]
    if program.stem == "jobs":
        # Jobs run side by side.
        assert sorted(done.stdout.splitlines()) == sorted(expected.splitlines())
    else:
        assert FIGURE.sub("N", done.stdout) == FIGURE.sub("N", expected)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
