"""Files of scores are imported whole, once, from where they stopped, on both engines."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_guide import errors
from atomic_guide.clock import SystemClock
from atomic_guide.course.analytics import parquet, sources
from atomic_guide.course.analytics.imports import Imports, Progress, check_file
from atomic_guide.course.analytics.scores import Rejected
from atomic_guide.course.analytics.sources import FileForm, form_of
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.score_files import KEY, QUERIES, WRITERS, count_stored, scores, write_csv

FORMS: list[FileForm] = ["csv", "ndjson", "parquet"]
CLOCK = SystemClock()


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path / "data", postgres_cluster) as opened:
        yield opened


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces of a small file."""
    monkeypatch.setattr(sources, "PIECE", 8192)
    monkeypatch.setattr(parquet, "BATCH", 150)


def ignore(_: Progress) -> None:
    pass


class Stop(Exception):
    """The process dies here."""


def stop_at(number: int) -> Callable[[Progress], None]:
    seen = 0

    def watch(_: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Stop

    return watch


@pytest.mark.parametrize("form", FORMS)
async def test_a_file_is_imported_and_then_known(shards: Shards, tmp_path: Path, form: FileForm) -> None:
    rows = scores(2500)
    path = WRITERS[form](tmp_path / f"a.{form}", [*rows, {**rows[0], "user": "bad", "score": 99}])
    assert form_of(path) == form
    steps: list[Progress] = []
    progress = await Imports(shards, CLOCK).run(KEY, path, form, steps.append)
    assert (progress.accepted, progress.duplicates, progress.rejected_count) == (2500, 0, 1)
    assert "is more than the maximum of 20" in progress.rejected[0].reason
    assert len(steps) > 5
    assert [step.position for step in steps] == sorted(step.position for step in steps)
    assert progress.position == progress.size == steps[-1].position
    assert await count_stored(shards) == (2500, sum(row["score"] for row in rows))

    renamed = path.rename(tmp_path / f"b.{form}")
    assert await Imports(shards, CLOCK).run(KEY, renamed, form, steps.append) == progress_named(progress, renamed)
    again = await Imports(shards, CLOCK).run(KEY, renamed, form, ignore, again=True)
    assert (again.accepted, again.duplicates, again.rejected_count) == (0, 2500, 1)
    (listed,) = await Imports(shards, CLOCK).listed(10)
    assert (listed["name"], listed["tenant"], listed["duplicates"]) == (renamed.name, "t1", 2500)


def progress_named(progress: Progress, path: Path) -> Progress:
    return Progress(**{**{name: getattr(progress, name) for name in Progress.__struct_fields__}, "name": path.name})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(2))
async def test_an_import_that_stops_goes_on(shards: Shards, tmp_path: Path, form: FileForm, seed: int) -> None:
    chance = random.Random(seed)
    rows = scores(3000)
    bad = sorted(chance.sample(range(3000), 40))
    for place in bad:
        rows[place] = {**rows[place], "score": 21}
    path = WRITERS[form](tmp_path / f"a.{form}", rows)
    stops = 0
    while True:
        try:
            progress = await Imports(shards, CLOCK).run(KEY, path, form, stop_at(chance.randrange(1, 8)))
            break
        except Stop:
            stops += 1
    assert stops > 0
    assert (progress.accepted, progress.duplicates, progress.rejected_count) == (2960, 0, 40)
    first = 2 if form == "csv" else 1
    reason = (
        "score 21.0 is more than the maximum of 20" if form == "parquet" else "score 21 is more than the maximum of 20"
    )
    assert progress.rejected == [Rejected(place + first, reason) for place in bad]
    assert (await count_stored(shards))[0] == 2960


async def test_a_crash_between_rows_and_their_note_is_impossible(shards: Shards, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", scores(1000))
    with pytest.raises(Stop):
        await Imports(shards, CLOCK).run(KEY, path, "csv", stop_at(2))
    (listed,) = await Imports(shards, CLOCK).listed(10)
    assert listed["finished_at"] is None
    assert (await count_stored(shards))[0] == listed["accepted"] > 0


async def test_a_correction_within_a_file_is_the_last_word(shards: Shards, tmp_path: Path) -> None:
    first = scores(600)
    rows = [*first, *({**row, "score": 1.5} for row in first), *first[:10]]
    progress = await Imports(shards, CLOCK).run(KEY, write_csv(tmp_path / "a.csv", rows), "csv", ignore)
    same = sum(row["score"] == 1.5 for row in first)
    back = sum(row["score"] != 1.5 for row in first[:10])
    assert (progress.accepted, progress.duplicates) == (600 + 600 - same + back, same + 10 - back)
    total = 1.5 * 590 + sum(row["score"] for row in first[:10])
    assert await count_stored(shards) == (600, total)


async def test_of_two_imports_of_one_file_one_is_refused(shards: Shards, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", scores(3000))
    both = await asyncio.gather(
        *(Imports(shards, CLOCK).run(KEY, path, "csv", ignore) for _ in range(2)), return_exceptions=True
    )
    refused = [one for one in both if isinstance(one, errors.Conflict)]
    assert len(refused) <= 1
    if refused:
        assert "another process is importing a.csv" in refused[0].message
    progress = await Imports(shards, CLOCK).run(KEY, path, "csv", ignore)
    assert (progress.accepted, progress.duplicates) == (3000, 0)
    assert (await count_stored(shards))[0] == 3000


async def test_the_same_file_goes_into_each_course(shards: Shards, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", scores(300))
    for context in ("course-1", "course-2"):
        progress = await Imports(shards, CLOCK).run(CourseKey.of("t1", context), path, "csv", ignore)
        assert progress.accepted == 300


async def test_a_file_that_grows_while_it_is_read_is_no_finished_one(shards: Shards, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", scores(1000))

    def grow(_: Progress) -> None:
        with path.open("a") as file:
            file.write("late,Exercise 1,1,20,2025-10-01\n")

    with pytest.raises(errors.Invalid, match="was changed while it was read"):
        await Imports(shards, CLOCK).run(KEY, path, "csv", grow)
    progress = await Imports(shards, CLOCK).run(KEY, path, "csv", ignore)
    assert (await count_stored(shards))[0] == 1001
    assert progress.finished_at is not None


async def test_a_file_with_an_unusable_header_is_refused(shards: Shards, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,points\nu1,3\n")
    with pytest.raises(errors.Invalid, match="the header lacks"):
        await Imports(shards, CLOCK).run(KEY, path, "csv", ignore)
    assert await Imports(shards, CLOCK).listed(10) == []


async def test_every_form_gives_the_same_rows(shards: Shards, tmp_path: Path) -> None:
    odd = [0.1, 0.1 + 0.2, 16777217.0, 2.0**53 - 1, 1e-300, 13.738243829384723]
    rows = [
        {"user": f"ü{place}", "activity": "E 1", "score": number, "max": 2.0**53, "at": "2025-10-01T10:00:00.123456Z"}
        for place, number in enumerate(odd)
    ]
    found: list[Any] = []
    for form in FORMS:
        key = CourseKey.of("t1", form)
        progress = await Imports(shards, CLOCK).run(key, WRITERS[form](tmp_path / f"a.{form}", rows), form, ignore)
        assert progress.accepted == len(odd)
        stored = await shards.of(key).scan(QUERIES["stored"], key.columns)
        found.append([(row["user"], row["activity"], row["at"], row["score"], row["maximum"]) for row in stored])
    assert found[0] == found[1] == found[2]
    assert [row[3] for row in found[0]] == odd


@pytest.mark.parametrize("form", FORMS)
async def test_a_check_counts_and_stores_nothing(tmp_path: Path, form: FileForm) -> None:
    rows = scores(500)
    path = WRITERS[form](tmp_path / f"a.{form}", [*rows, {**rows[0], "score": -1}])
    progress = await check_file(path, form, CLOCK, ignore)
    assert (progress.accepted, progress.rejected_count, progress.position) == (500, 1, progress.size)
    assert progress.finished_at is None
