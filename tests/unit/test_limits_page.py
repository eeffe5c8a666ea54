"""docs/limits.md lists what is declared, and each declaration names a setting and a documented answer."""

import re
from pathlib import Path

import pytest

from atomic_guide.app.limits import LIMITS, values_of
from atomic_guide.config import Settings, describe, value_at
from atomic_guide.limit import Limit
from atomic_guide.operations.limits import pages

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "limits.md").read_text("utf-8")
QUIET = {
    "waits",
    "forgets",
    "drops",
    "job fails",
    "simulation fails",
    "decision is cut",
    "not recorded",
    "not read",
    "exit 2",
}
"""Answers that nobody is given."""

named = pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)


def test_the_page_has_the_table_of_what_is_declared() -> None:
    assert pages.table(LIMITS) in PAGE


def test_names_are_unique_and_fit_into_a_label() -> None:
    names = [limit.name for limit in LIMITS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]{2,30}", name) for name in names)


@named
def test_a_limit_is_a_setting_with_its_unit_or_says_its_value(limit: Limit) -> None:
    if not limit.key:
        assert limit.fixed
        return
    units = {row.key: row.unit for row in describe()}
    keys = [key for key in units if re.fullmatch(re.escape(limit.key).replace(r"\*", r"\w+"), key)]
    assert keys
    assert {units[key].replace("B", "bytes") if units[key] == "B" else units[key] for key in keys} == {limit.unit}


@named
def test_a_limit_has_the_value_of_its_setting(limit: Limit) -> None:
    settings = Settings()
    if limit.key and "*" not in limit.key and limit.name != "disk_bytes":
        assert values_of(settings)[limit.name] == value_at(settings, limit.key)


@named
def test_its_answer_is_documented(limit: Limit) -> None:
    words = set(re.findall(r"[A-Z][A-Z_]{3,}|\b[1-5]\d{3}\b|\b[45]\d\d\b", limit.answer))
    assert words or limit.answer in QUIET
    pages_of_answers = "".join((DOCS / name).read_text("utf-8") for name in ("http.md", "rooms.md", "lti.md"))
    assert all(word in pages_of_answers for word in words), f"{words} in docs/http.md, rooms.md or lti.md"
    answers = PAGE[PAGE.index("## What the answers are") : PAGE.index("## All limits")]
    assert all(word in answers for word in words or {limit.answer})
