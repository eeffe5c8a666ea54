"""The list of the modules that decide is whole, and what is said of changes that nothing can notice is still so."""

import tomllib
from pathlib import Path

import pytest

from tools.deciding import DECIDING

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "atomic_guide"
EQUIVALENT = tomllib.loads((ROOT / "tools" / "equivalent_mutants.toml").read_text("utf-8"))


def test_every_part_of_deciding_is_listed() -> None:
    parts = {path.relative_to(SOURCES).as_posix() for path in SOURCES.glob("operations/scaling/decide/[a-z]*.py")}
    assert len(parts) > 10
    assert parts - {module.source for module in DECIDING.values()} == set()


@pytest.mark.parametrize("name", DECIDING)
def test_a_module_and_its_tests_exist(name: str) -> None:
    module = DECIDING[name]
    assert module.tests
    assert [path for path in (SOURCES / module.source, *(ROOT / "tests" / test for test in module.tests))
            if not path.is_file()] == []  # fmt: skip


@pytest.mark.parametrize("name", EQUIVALENT)
def test_a_line_that_may_be_changed_unnoticed_is_in_its_module(name: str) -> None:
    source = " ".join((SOURCES / DECIDING[name].source).read_text("utf-8").split())
    assert [one["was"] for one in EQUIVALENT[name] if one["was"] not in source] == []
    assert all(one["why"] and one["becomes"] != one["was"] for one in EQUIVALENT[name])
