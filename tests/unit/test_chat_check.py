import uuid

import pytest

from atomic_guide.course.chat.check import check_content, check_id
from atomic_guide.course.chat.store import sortable_id
from atomic_guide.errors import Invalid


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "x" * 4000,
        "two\nlines\tand a tab",
        "e\u0301" * 4000,
        "\U0001f469\u200d\U0001f52c",
        "שלום",
        " \u200e.",
        "\U0001f600" * 4000,
    ],
)
def test_what_people_write_is_taken_as_it_is(content: str) -> None:
    assert check_content(content) == content


@pytest.mark.parametrize(
    "content",
    ["", "   ", "\n\t", "\u200b\u2060", "x" * 4001, "nul\0", "bell\a", "escape\x1b[0m", "c1\x85", "half\ud83d"],
)
def test_what_nobody_can_read_is_refused(content: str) -> None:
    with pytest.raises(Invalid):
        check_content(content)


@pytest.mark.parametrize("identifier", ["", "with space", "x" * 256, "umläut", "line\n"])
def test_a_bad_id_is_refused(identifier: str) -> None:
    with pytest.raises(Invalid):
        check_id(identifier)


def test_ids_of_ours_sort_by_time_and_are_uuids() -> None:
    ids = [sortable_id(1_700_000_000 + number / 1000) for number in range(100)]
    assert ids == sorted(ids)
    assert {uuid.UUID(text).version for text in ids} == {7}
    assert {uuid.UUID(text).variant for text in ids} == {uuid.RFC_4122}
