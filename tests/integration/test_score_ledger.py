"""Scores in memory follow what is stored: only changed students are read again, and the figures are those of all."""

import random
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.analytics import books, ledger, performance
from atomic_guide.course.analytics.attempts import read_pages, read_students
from atomic_guide.course.analytics.books import Book, Books
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.large import LargeCourses
from atomic_guide.course.analytics.ledger import Asked, Ledger
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.data.placement import CourseKey
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.reporting import NOW, URL, Reporting, reporting, rows


@pytest.fixture
def whole_readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The courses that were read whole."""
    seen: list[str] = []

    def counted(database: Any, key: CourseKey) -> Any:
        seen.append(key.course)
        return read_pages(database, key)

    monkeypatch.setattr(ledger, "read_pages", counted)
    monkeypatch.setattr("atomic_guide.course.analytics.attempts.read_pages", counted)
    return seen


@pytest.fixture
async def site(tmp_path: Path, whole_readings: list[str]) -> AsyncIterator[Reporting]:
    async with reporting(tmp_path) as found:
        yield found


async def post(client: httpx.AsyncClient, scores: list[Any]) -> None:
    answer = await client.post(URL, json={"scores": scores})
    assert answer.status_code == 200, answer.text


async def read(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(URL)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def hand_in(chance: random.Random, users: int) -> dict[str, Any]:
    activity = chance.randrange(6)
    return {
        "user": f"u{chance.randrange(users)}",
        "activity": f"E{activity}",
        "score": chance.randrange(21),
        "max": 20,
        "at": f"2025-10-{1 + chance.randrange(3) + activity // 2:02d}T0{chance.randrange(10)}:00:00Z",
    }


@pytest.mark.parametrize("seed", range(3))
async def test_figures_after_any_hand_ins_are_those_of_a_fresh_reading(
    site: Reporting, tmp_path: Path, whole_readings: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    teacher = await site.client("prof", "instructor")
    await site.enrol("u3", "instructor")
    await post(teacher, [hand_in(chance, 30) for _ in range(100)])
    assert (await read(teacher))["course"]["count"] > 5
    assert len(whole_readings) == 1
    for _ in range(8):
        await post(teacher, [hand_in(chance, 40) for _ in range(chance.choice([1, 1, 5]))])
        kept = await read(teacher)
        assert len(whole_readings) == 1
        async with reporting(tmp_path) as other:
            assert await read(await other.client("prof", "instructor")) == kept
        whole_readings.pop()


async def test_what_another_process_stores_is_read_with_the_whole_course(
    site: Reporting, tmp_path: Path, whole_readings: list[str]
) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({"a": [10], "b": [20]}))
    await read(teacher)
    async with reporting(tmp_path) as other:
        await post(await other.client("prof", "instructor"), rows({"c": [20]}))
    await post(teacher, rows({"d": [20]}))
    assert (await read(teacher))["course"]["count"] == 4
    assert len(whole_readings) == 2
    await post(teacher, rows({"e": [20]}))
    assert (await read(teacher))["course"]["count"] == 5
    assert len(whole_readings) == 2


async def test_more_changes_than_are_remembered_are_read_with_the_whole_course(
    site: Reporting, whole_readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MOST_CHANGED", 10)
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({"a": [10]}))
    await read(teacher)
    await post(teacher, rows({f"u{number}": [10] for number in range(11)}))
    assert (await read(teacher))["course"]["count"] == 12
    assert len(whole_readings) == 2


async def test_whose_scores_are_gone_is_gone(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({"a": [10], "b": [20]}))
    await read(teacher)
    await site.enrol("b", "instructor")
    site.clock.advance(6)
    await post(teacher, rows({"a": [12]}))
    assert [row["user"] for row in (await read(teacher))["students"]] == ["a"]


class Weighed:
    def __init__(self, size: int) -> None:
        self.size = size


def test_books_are_let_go_by_bytes_the_unused_first() -> None:
    kept: Books[Weighed] = Books(100)
    keys = [CourseKey.of("t1", f"c{number}") for number in range(4)]
    for key in keys[:3]:
        book = Book[Weighed](frozenset())
        book.advance(1, Weighed(30), 0.0)
        kept.begin(key, book)
    assert kept.find(keys[0]) is not None
    big = Book[Weighed](frozenset())
    big.advance(1, Weighed(60), 0.0)
    kept.begin(keys[3], big)
    kept.trim()
    assert (kept.find(keys[1]), kept.find(keys[2])) == (None, None)
    assert kept.size == 90
    assert len(kept) == 2


async def test_courses_are_let_go_from_a_process(tmp_path: Path) -> None:
    async with reporting(tmp_path, memory_bytes=2**20) as site:
        sizes = []
        for number in range(12):
            teacher = await site.client("prof", "instructor", context=f"course-{number}")
            await post(teacher, rows({f"u{place}": [10.0] * 3 for place in range(1500)}))
            assert (await read(teacher))["course"]["count"] == 1500
            sizes.append(len(site.performance.ledger.columns))
        assert max(sizes) < 12
        assert site.performance.ledger.columns.size <= 2**20


async def test_a_student_of_a_large_course_sees_row_curve_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_readings: list[str]
) -> None:
    marks: dict[str, list[float | None]] = {f"u{number}": [number, 20 - number] for number in range(1, 20)}
    marks["me"] = [15, 17]
    views = []
    for most, folder in ((50_000, "small"), (10, "large")):
        monkeypatch.setattr(performance, "STUDENTS_KEPT", most)
        async with reporting(tmp_path / folder) as site:
            teacher, student = await site.client("prof", "instructor"), await site.client("me")
            await site.enrol("u19", "instructor")
            await post(teacher, rows(marks))
            await read(student)
            whole_readings.clear()
            await post(teacher, rows({"me": [None, None, 18], "new": [3]}))
            views.append(await read(student))
            assert whole_readings == []
    small, large = views
    assert large["course"] == small["course"]
    own, same = large["students"][0], small["students"][0]
    assert {name: own[name] for name in ("user", "mean", "rank", "percentile", "trend")} == {
        name: same[name] for name in ("user", "mean", "rank", "percentile", "trend")
    }
    assert [(score["activity"], score["score"]) for score in large["scores"]] == [("E1", 15), ("E2", 17), ("E3", 18)]
    assert large["activities"] == []


async def test_a_large_course_hides_its_curve_from_few_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "STUDENTS_KEPT", 2)
    async with reporting(tmp_path) as site:
        teacher, student = await site.client("prof", "instructor"), await site.client("a")
        await post(teacher, rows({user: [10.0] for user in "abcde"}))
        found = await read(student)
        assert (found["course"], found["students"][0]["rank"]) == (None, None)
        stranger = await site.client("z")
        assert (await read(stranger))["students"] == []


@pytest.mark.parametrize("engine", ENGINES)
async def test_both_engines_keep_columns_and_standings_up_to_date(
    engine: str, tmp_path: Path, postgres_cluster: Cluster, whole_readings: list[str]
) -> None:
    chance, key, clock = random.Random(9), CourseKey.of("t1", "course-1"), ManualClock(NOW)
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        kept = Ledger(shards, clock, 2**24)
        versions: list[int] = []

        def note(course: CourseKey, version: int, users: Collection[str]) -> None:
            versions.append(version)
            kept.note(course, version, users)

        scores = Scores(shards, clock, AnalyticsSettings(), note)
        for _ in range(6):
            taken = [hand_in(chance, 40) for _ in range(25)]
            await scores.take_json(key, msgspec.json.encode({"scores": taken}))
            asked = Asked(key, versions[-1], frozenset({"u3"}))
            columns, standings = await kept.read_columns(asked), await kept.read_standings(asked)
            fresh = Ledger(shards, clock, 2**24)
            again, same = await fresh.read_columns(asked), await fresh.read_standings(asked)
            assert (columns.users, columns.titles) == (again.users, again.titles)
            assert "u3" not in columns.users
            assert sorted(zip(*columns.columns(), strict=True)) == sorted(zip(*again.columns(), strict=True))
            assert [standings.standing(user) for user in again.users] == [same.standing(user) for user in again.users]
            assert standings.tenths() == same.tenths()
        assert len(versions) == 6
        # Twice by the ledger that was kept, and by each of the six fresh ones.
        assert len(whole_readings) == 2 + 2 * 6
        large = LargeCourses(shards, clock, AnalyticsSettings(), kept, 5)
        assert await large.includes(key)
        view = await large.view(key, columns.users[0])
        assert view.course is not None
        assert (view.course.count, view.students[0].user) == (len({*columns.users, "u3"}), columns.users[0])


@pytest.mark.parametrize("engine", ENGINES)
async def test_of_who_hands_in_often_only_what_counts_is_read(
    engine: str, tmp_path: Path, postgres_cluster: Cluster
) -> None:
    key, clock = CourseKey.of("t1", "course-1"), ManualClock(NOW)
    often = [
        {
            "user": user,
            "activity": f"E{number % 3}",
            "score": number % 21,
            "max": 20,
            "at": f"2025-10-01T10:{number:02d}",
        }
        for user in ("a", "b")
        for number in range(60)
    ]
    # Of one moment, the greater id counts.
    same = [{**often[0], "at": "2025-10-02", "score": score, "id": name} for name, score in (("2", 5), ("1", 15))]
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        await Scores(shards, clock, AnalyticsSettings()).take_json(key, msgspec.json.encode({"scores": often + same}))
        pages = await read_students(shards.of(key), key, ["a", "b"])
        found = [(row["user"], row["activity"], row["share"]) for row in pages.rows]
        latest = [("E0", 57 % 21 / 20), ("E1", 58 % 21 / 20), ("E2", 59 % 21 / 20)]
        assert found == [("a", "E0", 0.75), ("a", "E0", 0.25), *(("a", *each) for each in latest[1:])] + [
            ("b", *each) for each in latest
        ]
        columns = await Ledger(shards, clock, 2**24).read_columns(Asked(key, 1, frozenset()))
        assert columns.columns()[2].tolist() == [0.25, *(share for _, share in latest[1:] + latest)]
