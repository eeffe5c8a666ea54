"""What docs/bounds.md says of a bound is so in the code."""

import re
from pathlib import Path

import pytest

from tools.bounds import bounds

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bounds.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (\S+) \| `(\S+)` \| .*\|$", PAGE, re.MULTILINE)
CODE = {(one.place, one.name.strip("_").lower()): one for one in bounds(ROOT / "src" / "atomic_guide")}


def test_there_are_rows() -> None:
    assert len(ROWS) > 50


@pytest.mark.parametrize(("name", "value", "place"), ROWS)
def test_a_row_has_the_value_of_the_code(name: str, value: str, place: str) -> None:
    assert CODE[place, name].value == value


def test_only_numbers_whose_name_says_so_are_bounds(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('_MOST = 2 * 1024\n"""Of a thing."""\nLIMIT = other()\nSPEED = 5\nALMOST = 3\n')
    assert [(one.name, one.value, one.why) for one in bounds(tmp_path)] == [("_MOST", "2,048", "Of a thing.")]


def test_the_most_of_a_list_is_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('_ROWS = Limit(50, 1000)\n"""Of a list."""\n_OTHER = Limit(20, PAGE_LIMIT)\n')
    assert [(one.name, one.value, one.why) for one in bounds(tmp_path)] == [("_ROWS", "1,000", "Of a list.")]
