"""Every refusal says what happened and what to do, and stands in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomic_guide.course.lti.refusals import Refusal, Refused

PAGE = Path(__file__).parents[2] / "docs" / "lti.md"


def row(refusal: Refusal) -> str:
    return f"| `{refusal.code}` | {refusal.status} | {refusal.message} | {refusal.remedy} |"


def test_the_documentation_lists_every_refusal() -> None:
    listed = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `LTI_")]
    assert listed == [row(refusal) for refusal in Refusal]


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_is_two_sentences_and_a_status(refusal: Refusal) -> None:
    assert refusal.status in {400, 403, 405, 413, 429, 503}
    assert refusal.message.endswith(".")
    assert refusal.remedy.endswith(".")
    assert Refused(refusal, "More.").message == f"{refusal.message} More."
