"""Events in and how lectures are watched out, over HTTP and real databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.clock import iso
from atomic_guide.course.watching.counting import count_batch
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from tests.reporting import NOW, Reporting, reporting
from tests.watching import KEY, LECTURE, add_lecture, event, watched

URL = "/api/analytics/events"
READS = Query(
    "reads",
    "Who read records.",
    {None: 'SELECT reader, "call" FROM record_reads WHERE bucket = :bucket ORDER BY "call"'},
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Reporting]:
    async with reporting(tmp_path) as found:
        await add_lecture(found.shards)
        for user, role in (("ada", "learner"), ("bob", "learner"), ("prof", "instructor")):
            await found.enrol(user, role)
        yield found


async def post(client: httpx.AsyncClient, *events: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(URL, json={"events": list(events)})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def count(site: Reporting) -> None:
    while (await site.shards.of(KEY).write(lambda tx: count_batch(tx, KEY, 100))).left:
        pass


async def test_what_is_sent_is_shown_to_whom_it_concerns(site: Reporting) -> None:
    ada, bob, prof = await site.client("ada"), await site.client("bob"), await site.client("prof", "instructor")
    first = watched(NOW, 0, 60, "w1")
    assert await post(ada, event("opened", NOW), event("played", NOW, video=LECTURE, position=0), first) == {
        "accepted": 3,
        "duplicates": 0,
        "rejected": [],
        "now": iso(NOW),
    }
    assert (await post(ada, first, watched(NOW + 60, 60, 90)))["duplicates"] == 1
    await post(bob, watched(NOW, 0, 30), event("captions", NOW, video=LECTURE, lang="en"))
    await count(site)
    own = (await ada.get("/api/analytics/lectures")).json()
    assert own == {
        "own": [
            {
                "id": LECTURE,
                "position": 90.0,
                "position_at": iso(NOW + 60),
                "watched": 0.3,
                "finished": False,
                "last_at": iso(NOW + 60),
            }
        ],
        "lectures": None,
        "students": None,
    }
    seen = (await prof.get("/api/analytics/lectures")).json()
    assert seen["own"] == []
    assert [(one["viewers"], one["views"], one["watched_seconds"], one["captions"]) for one in seen["lectures"]] == [
        (2, 2, 120, 1)
    ]
    assert [(one["user"], one["name"], one["last_at"]) for one in seen["students"]] == [
        ("ada", "Name of ada", iso(NOW + 60)),
        ("bob", "Name of bob", iso(NOW)),
    ]
    report = (await prof.get(f"/api/analytics/lectures/{LECTURE}?step=30")).json()
    assert report["curve"] == {"step": 30, "viewers": [2, 1, 1, *[0] * 7], "plays": [2, 1, 1, *[0] * 7]}
    assert [one["user"] for one in report["viewers"]] == ["ada", "bob"]
    await site.reads.close()
    reads = await site.shards.of(KEY).read(READS, KEY.columns)
    assert [(row["reader"], row["call"]) for row in reads] == [("prof", "lecture"), ("prof", "lectures")]


async def test_students_see_no_figures_of_a_lecture(site: Reporting) -> None:
    answer = await (await site.client("ada")).get(f"/api/analytics/lectures/{LECTURE}")
    assert answer.status_code == 403


async def test_courses_do_not_mix(site: Reporting) -> None:
    await post(await site.client("ada"), watched(NOW, 0, 60, "same"))
    other = await site.client("ada", context="course-2")
    assert (await post(other, watched(NOW, 0, 60, "same")))["accepted"] == 1
    await count(site)
    teacher = await site.client("prof", "instructor", context="course-2")
    assert (await teacher.get("/api/analytics/lectures")).json()["lectures"] == []
    assert (await teacher.get(f"/api/analytics/lectures/{LECTURE}")).status_code == 404
    assert CourseKey.of("t1", "course-2") != KEY


@pytest.mark.parametrize(
    ("sent", "kind", "status", "code"),
    [
        (b'{"events": [' + b" " * 65_536 + b"]}", "application/json", 413, "TOO_LARGE"),
        (b'{"events": []}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"events": "all"}', "application/json", 400, "VALIDATION_ERROR"),
        (json.dumps({"events": [{}] * 101}).encode(), "application/json", 400, "VALIDATION_ERROR"),
        (b"{", "application/json", 400, "VALIDATION_ERROR"),
    ],
)
async def test_what_is_beyond_a_limit_is_refused_whole(
    site: Reporting, sent: bytes, kind: str, status: int, code: str
) -> None:
    answer = await (await site.client("ada")).post(URL, content=sent, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_full_backlog_says_when_to_come_again(site: Reporting) -> None:
    ada = await site.client("ada")
    for part in range(200):
        await post(ada, *(event("opened", NOW, f"{part}-{number}") for number in range(100)))
    answer = await ada.post(URL, json={"events": [event("opened", NOW)]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    await count(site)
    assert (await post(ada, event("opened", NOW)))["accepted"] == 1
