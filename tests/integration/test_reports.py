"""Scores in and figures out, over HTTP and real databases."""

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide.course.analytics import attempts, performance
from atomic_guide.course.analytics.report import Report, make_report
from tests.reporting import URL, Reporting, reporting, rows

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}
HEADER = "user,activity,score,max,at,id\n"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Reporting]:
    async with reporting(tmp_path) as found:
        yield found


async def post(client: httpx.AsyncClient, scores: list[Any]) -> dict[str, Any]:
    answer = await client.post(URL, json={"scores": scores})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def read(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(URL)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_scores_become_figures(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    for user in ("prof", "a", "b", "c"):
        await site.enrol(user, "instructor" if user == "prof" else "learner")
    taken = await post(teacher, rows({"a": [20, 10], "b": [10, None], "prof": [20, 20]}))
    assert taken == {"accepted": 5, "duplicates": 0, "rejected": [], "rejected_count": 0}
    found = await read(teacher)
    assert found["course"]["count"] == 2
    assert found["course"]["members"] == 3
    assert found["course"]["mean"] == pytest.approx(0.625)
    assert [(row["user"], row["name"], row["mean"], row["rank"]) for row in found["students"]] == [
        ("a", "Name of a", 0.75, 1),
        ("b", "Name of b", 0.5, 2),
    ]
    assert found["students"][1]["last"] == [0.5, None]
    assert [(row["activity"], row["count"]) for row in found["activities"]] == [("E1", 2), ("E2", 1)]
    assert found["updated_at"] == "2025-11-23T12:00:00.000Z"


async def test_a_bad_row_sinks_no_other(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    taken = await post(teacher, [*rows({"a": [10]}), *rows({"b": [24]}), "x", *rows({"c": [11]})])
    assert (taken["accepted"], taken["rejected_count"]) == (2, 2)
    assert taken["rejected"][0] == {"line": 2, "reason": "score 24 is more than the maximum of 20"}


async def test_a_course_may_have_any_number_of_students(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    lines = "".join(f"u{number},E1,{number % 20},20,2025-10-07,\n" for number in range(10_050))
    assert (await teacher.post(URL, content=HEADER + lines, headers=CSV)).json()["accepted"] == 10_050
    found = await read(teacher)
    assert found["course"]["count"] == len(found["students"]) == 10_050


@pytest.mark.parametrize("share", [(0.1, 0.3), (16777217, 16777219), (1e-300, 3e-300)])
async def test_a_score_comes_out_as_it_went_in(site: Reporting, share: tuple[float, float]) -> None:
    teacher, student = await site.client("prof", "instructor"), await site.client("a")
    await post(teacher, [{"user": "a", "activity": "E1", "score": share[0], "max": share[1], "at": "2025-10-07"}])
    (score,) = (await read(student))["scores"]
    assert (score["score"], score["max"], score["share"]) == (*share, share[0] / share[1])
    assert (await read(teacher))["students"][0]["mean"] == share[0] / share[1]


async def test_rejected_rows_are_all_counted_and_the_first_thousand_listed(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    answer = await teacher.post(URL, content=HEADER + "x\n" * 1500, headers=CSV)
    assert answer.json()["rejected_count"] == 1500
    assert len(answer.json()["rejected"]) == 1000


async def test_a_row_is_stored_once(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    named = [{**row, "id": f"attempt-{number}"} for number, row in enumerate(rows({"a": [10, 12], "b": [14]}))]
    for scores in (rows({"a": [10, 12], "b": [14]}), named):
        assert (await post(teacher, scores))["accepted"] == 3
        assert await post(teacher, scores) == {"accepted": 0, "duplicates": 3, "rejected": [], "rejected_count": 0}
    # The id stands for the row, also where the rest of it has changed.
    assert (await post(teacher, [{**named[0], "user": "z", "score": 1}]))["duplicates"] == 1


async def test_an_id_is_known_in_its_course_only(site: Reporting) -> None:
    score = [{**rows({"a": [10]})[0], "id": "1"}]
    for course in ({"context": "course-1"}, {"context": "course-2"}, {"tenant": "t2"}):
        assert (await post(await site.client("prof", "instructor", **course), score))["accepted"] == 1


async def test_another_score_for_the_same_moment_corrects_the_first(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({"a": [10]}))
    assert (await post(teacher, rows({"a": [15]})))["accepted"] == 1
    assert (await post(teacher, rows({"a": [15]})))["duplicates"] == 1
    assert (await read(teacher))["students"][0]["mean"] == 0.75


async def test_new_scores_show_at_once_in_every_process(site: Reporting, tmp_path: Path) -> None:
    async with reporting(tmp_path) as other:
        for number in range(1, 4):
            teacher = await site.client("prof", "instructor")
            await post(teacher, rows({f"u{number}": [10]}))
            there = await other.client("prof", "instructor")
            assert (await read(teacher))["course"]["count"] == (await read(there))["course"]["count"] == number


async def test_new_names_show_when_the_figures_in_memory_have_aged(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({"a": [10]}))
    assert (await read(teacher))["students"][0]["name"] is None
    await site.enrol("a")
    site.clock.advance(6)
    assert (await read(teacher))["students"][0]["name"] == "Name of a"


async def test_many_readers_at_once_get_the_same(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({f"u{number}": [number] for number in range(20)}))
    answers = await asyncio.gather(*(teacher.get(URL) for _ in range(50)))
    assert len({answer.content for answer in answers}) == 1


async def test_figures_about_others_need_five_others(site: Reporting) -> None:
    teacher, student = await site.client("prof", "instructor"), await site.client("me")
    marks: dict[str, list[float | None]] = {"me": [15, 16], "u1": [10, 11], "u2": [11], "u3": [12], "u4": [13]}
    await post(teacher, rows(marks))
    found = await read(student)
    assert found["course"] is None
    assert found["activities"] is None
    (own,) = found["students"]
    assert (own["user"], own["mean"], own["rank"], own["percentile"]) == ("me", 0.775, None, None)
    assert [(score["activity"], score["score"], score["median"]) for score in found["scores"]] == [
        ("E1", 15, None),
        ("E2", 16, None),
    ]
    await post(teacher, rows({"u5": [14]}))
    found = await read(student)
    assert found["course"]["count"] == 6
    # Of 0.6333.., times the count, a student could tell what the last one got.
    assert (found["course"]["mean"], (await read(teacher))["course"]["mean"]) == (0.63, pytest.approx(3.8 / 6))
    assert [row["user"] for row in found["students"]] == ["me"]
    assert found["students"][0]["rank"] == 1
    # Five others handed in E1, one other E2: of that one nothing shows.
    first, second = found["activities"]
    assert (first["count"], first["median"]) == (6, 0.62)
    assert (second["count"], second["median"], second["q1"], second["q3"]) == (None, None, None, None)


async def test_a_student_without_a_score_sees_the_curve_and_the_gaps(site: Reporting) -> None:
    teacher, student = await site.client("prof", "instructor"), await site.client("new")
    assert (await read(student))["students"] == []
    await post(teacher, rows({f"u{number}": [10.0] for number in range(5)}))
    found = await read(student)
    assert (found["students"], found["course"]["count"]) == ([], 5)
    assert found["scores"] == [
        {
            "activity": "E1",
            "score": None,
            "max": None,
            "share": None,
            "at": "2025-10-07T00:00:00.000Z",
            "median": 0.5,
        }
    ]


async def test_no_student_reads_another_course_or_posts(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    await post(teacher, rows({f"u{number}": [10] for number in range(9)}))
    elsewhere = await site.client("prof", "instructor", tenant="t2")
    assert (await read(elsewhere))["course"]["count"] == 0
    student = await site.client("u1")
    assert (await student.post(URL, json={"scores": []})).status_code == 403
    assert "u2" not in (await student.get(URL)).text
    assert (await site.anybody().get(URL)).status_code == 401


@pytest.mark.parametrize("page", [1, 2, 5, 6])
async def test_pages_make_no_difference(
    site: Reporting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    teacher = await site.client("prof", "instructor")
    await site.enrol("c", "instructor")
    await post(teacher, rows({"a": [1], "b": [2, 3, 4, 5, 6, 7, 8], "c": [9, 9], "d": [10, 11], "e": [12]}))
    whole = await read(teacher)
    assert [row["user"] for row in whole["students"]] == ["e", "d", "b", "a"]
    monkeypatch.setattr(attempts, "PAGE", page)
    async with reporting(tmp_path) as other:
        assert await read(await other.client("prof", "instructor")) == whole


async def test_who_posts_reads_the_new_figures_also_while_others_read(site: Reporting) -> None:
    teacher, reader = await site.client("prof", "instructor"), await site.client("prof2", "instructor")

    async def go_on_reading() -> None:
        while True:
            await read(reader)
            # A read of figures in memory never waits for anything.
            await asyncio.sleep(0)

    reading = [asyncio.create_task(go_on_reading()) for _ in range(4)]
    for number in range(1, 30):
        await post(teacher, rows({f"u{number}": [10]}))
        assert (await read(teacher))["course"]["count"] == number
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


async def test_all_who_wait_while_scores_come_in_share_one_report(
    site: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, first, others = await site.client("prof", "instructor"), threading.Event(), threading.Event()

    def held(*given: Any) -> Report:
        first.set()
        assert others.wait(30)
        return make_report(*given)

    monkeypatch.setattr(performance, "make_report", held)
    reading = []
    for number in range(1, 31):
        await post(teacher, rows({f"u{number}": [10]}))
        reading.append(asyncio.create_task(read(teacher)))
        async with asyncio.timeout(20):
            while site.cache.counts.joined < number - 1 or not first.is_set():  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.001)
    others.set()
    found = [answer["course"]["count"] for answer in await asyncio.gather(*reading)]
    assert all(count >= number for number, count in enumerate(found, 1))
    # The one that was under way, and one for all who had to see more: not one for each version of the gradebook.
    assert site.cache.counts.loads == 2


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"a,b\n1,2\n", CSV, 400),
        (b"", CSV, 400),
        (b"", NDJSON, 200),
        (b"x", {"Content-Type": "application/xml"}, 415),
        (b"x", {}, 415),
        (b"", {**NDJSON, "Idempotency-Key": "\x7f"}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    site: Reporting, content: bytes, headers: dict[str, str], status: int
) -> None:
    teacher = await site.client("prof", "instructor")
    answer = await teacher.post(URL, content=content, headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_body_over_the_limit_is_refused_and_says_how_far_it_came(tmp_path: Path) -> None:
    async with reporting(tmp_path, stream_bytes=200_000, json_bytes=2000) as site:
        teacher = await site.client("prof", "instructor")
        lines = [f"u{number},E1,10,20,2025-10-07," for number in range(20_000)]

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(lines), 100):
                yield ((HEADER if start == 0 else "") + "\n".join(lines[start : start + 100]) + "\n").encode()

        answer = await teacher.post(URL, content=pieces(), headers=CSV)
        assert answer.status_code == 413
        assert answer.json()["error"]["details"]["accepted"] > 1000
        rest = await teacher.post(URL, content=HEADER + "\n".join(lines[:5000]), headers=CSV)
        assert rest.json()["accepted"] + rest.json()["duplicates"] == 5000
        assert (await teacher.post(URL, json={"scores": ["x" * 3000]})).status_code == 413


async def test_a_repeated_request_is_answered_as_the_first_time(site: Reporting) -> None:
    teacher = await site.client("prof", "instructor")
    again = {"Idempotency-Key": "upload-1"}
    first = await teacher.post(URL, json={"scores": rows({"a": [10]})}, headers=again)
    assert first.json()["accepted"] == 1
    second = await teacher.post(URL, json={"scores": rows({"a": [10]})}, headers=again)
    assert second.json() == first.json()
    other = await teacher.post(URL, json={"scores": rows({"a": [11]})}, headers=again)
    assert other.status_code == 422


posted = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from(["a", "b", "c", ""]),
            "activity": st.sampled_from(["E1", "E2"]),
            "score": st.sampled_from([1, 2.5, 30]),
            "max": st.just(20),
            "at": st.sampled_from(["2025-10-07", "2025-10-08", "soon"]),
        },
        optional={"id": st.sampled_from(["1", "2", "3"])},
    ),
    max_size=12,
)


EXAMPLES = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted)
async def test_every_row_is_accepted_a_duplicate_or_rejected(site: Reporting, scores: list[dict[str, Any]]) -> None:
    example = next(EXAMPLES)
    answers = []
    for form in ("json", "lines"):
        teacher = await site.client("prof", "instructor", context=f"{form}-{example}")
        lines = "\n".join(json.dumps(row) for row in scores)
        for _ in range(2):
            answer = (
                await teacher.post(URL, json={"scores": scores})
                if form == "json"
                else await teacher.post(URL, content=lines, headers=NDJSON)
            )
            taken = answer.json()
            assert taken["accepted"] + taken["duplicates"] + taken["rejected_count"] == len(scores)
            answers.append((taken, (await read(teacher))["students"]))
    assert answers[:2] == answers[2:]
    # A course in which each moment has one score takes nothing the second time.
    moments = {(row["user"], row["activity"], row["at"]) for row in scores if "id" not in row}
    if len(moments) == sum("id" not in row for row in scores):
        assert answers[1][0]["accepted"] == 0
