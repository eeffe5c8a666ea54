"""What a Range header asks of an object of 1,000 bytes."""

import pytest

from atomic_guide.errors import RangeUnsatisfiable
from atomic_guide.web.ranges import byte_ranges


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (None, []),
        ("bytes=0-9", [(0, 10)]),
        ("BYTES = 0 - 9", [(0, 10)]),
        ("bytes=900-", [(900, 1000)]),
        ("bytes=900-99999", [(900, 1000)]),
        ("bytes=-10", [(990, 1000)]),
        ("bytes=-99999", [(0, 1000)]),
        ("bytes=500-600,0-9", [(500, 601), (0, 10)]),
        ("bytes=0-9,-10", [(0, 10), (990, 1000)]),
        ("bytes=0-9,5000-,500-509", [(0, 10), (500, 510)]),
    ],
    ids=str,
)
def test_ranges_are_read(header: str | None, parts: list[tuple[int, int]]) -> None:
    assert byte_ranges(header, 1000) == parts


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("bytes=0-99,50-149", [(0, 150)]),
        ("bytes=0-99,100-199", [(0, 200)]),
        ("bytes=0-99,200-299", [(0, 300)]),
        ("bytes=0-99,300-399", [(0, 100), (300, 400)]),
        ("bytes=900-909,0-9,905-914", [(900, 915), (0, 10)]),
        ("bytes=0-9,900-909,5-14", [(0, 15), (900, 910)]),
        ("bytes=" + ",".join(["0-"] * 8), [(0, 1000)]),
        ("bytes=-1000,-900,-800", [(0, 1000)]),
    ],
    ids=str,
)
def test_no_byte_is_sent_twice(header: str, parts: list[tuple[int, int]]) -> None:
    assert byte_ranges(header, 1000) == parts


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-4",
        "bytes=0-1,9-5",
        "bytes=-",
        "bytes=",
        "bytes=0-1,",
        "bytes=--5",
        "bytes=-5-9",
        "bytes=+1-5",
        "bytes=a-b",
        "bytes=0-1;5-6",
        "bytes=\u0661-\u0665",
        "bytes=0-" + "9" * 16,
        "lines=0-1",
        "0-1",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 900, 100)),
        "bytes=" + ",".join(["0-", "-1000", "5-900"] * 5000),
    ],
    ids=lambda header: header[:40],
)
def test_what_is_no_set_of_a_few_ranges_is_ignored(header: str) -> None:
    assert byte_ranges(header, 1000) == []


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=1000-,-0,4000-5000"])
def test_ranges_outside_are_refused(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        byte_ranges(header, 1000)
    with pytest.raises(RangeUnsatisfiable):
        byte_ranges("bytes=0-", 0)
