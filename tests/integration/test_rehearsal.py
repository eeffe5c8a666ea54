"""The rehearsal of regions, in its short form: one of three regions is killed while people write and read."""

import asyncio
from pathlib import Path

import pytest

from atomic_guide.app.rehearsal.rehearsal import Rehearsal
from atomic_guide.app.rehearsal.report import Report, as_page, as_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def report() -> Report:
    return asyncio.run(Rehearsal(1.0, lambda _text: None, brief=True).run())


def test_everything_is_as_it_should_be(report: Report) -> None:
    assert [one for one in report.findings if not one.passed] == []
    assert report.passed
    said = "\n".join(one.name for one in report.findings)
    for expected in (
        "reads again within 5 s",
        "gets 503 with Retry-After",
        "school-us, at home elsewhere, goes on",
        "school-eu: no acknowledged write is lost",
        "school-us: nothing of it is in the files",
        "a new visit begins in the second region",
        "CloudNativePG promotes, whose part the rehearsal plays",
        "a lecture is copied to every bucket of its tenant's zone",
        "a lecture is played from the nearest region that holds a verified copy",
        "an object that was altered in one bucket is found and healed",
        "a lecture plays on from the second region's bucket",
        "a deleted lecture goes from every bucket, with a sealed receipt",
        "no request is sent on more than once",
    ):
        assert expected in said


def test_it_leaves_nothing_behind(report: Report) -> None:
    assert report.folder is None
    own = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"atomic-guide-rehearsal-" in _read(path)]
    assert own == []


def test_it_is_told_as_text_and_as_a_page(report: Report) -> None:
    assert "all findings are as they should be" in as_text(report)
    page = as_page(report)
    assert page.count("<tr>") == 1 + len(report.findings) + len(report.phases)
    assert "class=failed" not in page


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
