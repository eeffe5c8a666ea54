"""An edit changes what it names and keeps the shape of what a job carries."""

from typing import Any

import pytest

from atomic_guide.engines.queues.edit import Change, Edit, apply_edits, parse_edit
from atomic_guide.errors import Invalid

PAYLOAD: dict[str, Any] = {"video": "v1", "parts": 3, "live": False, "to": {"user": "ada", "tags": ["a"]}, "none": None}


def test_edits_change_fields_also_inside_objects_and_leave_the_payload_alone() -> None:
    edits = [parse_edit("parts=4"), parse_edit('to.user="bob"'), parse_edit("live=true"), parse_edit('to.tags=["b"]')]
    edited, changes = apply_edits(PAYLOAD, edits)
    assert edited == {**PAYLOAD, "parts": 4, "live": True, "to": {"user": "bob", "tags": ["b"]}}
    assert changes[:2] == [Change("parts", 3, 4), Change("to.user", "ada", "bob")]
    assert PAYLOAD["to"]["user"] == "ada"


def test_what_is_so_already_is_no_change() -> None:
    assert apply_edits(PAYLOAD, [Edit("parts", 3)]) == (PAYLOAD, [])


@pytest.mark.parametrize("text", ["parts", "=3", "parts=", "video=v2", "parts={"])
def test_what_is_no_edit_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid, match=r"field=json|not JSON"):
        parse_edit(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("missing=1", "carries no field missing; its fields: live, none, parts, to, video"),
        ("to.missing=1", "no field"),
        ("video.deeper=1", "no field"),
        ('parts="3"', "parts is a number in this job, and a text was given"),
        ("live=1", "true or false"),
        ("to=null", "an object"),
        ("none=1", "null"),
    ],
)
def test_an_edit_that_does_not_fit_names_the_field_and_what_there_is(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        apply_edits(PAYLOAD, [parse_edit(text)])
