"""The practice LMS: real logins on this computer, and nothing for anybody else."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import httpx
import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.course.lti.assembly import Lti, build_lti
from atomic_guide.course.lti.grades import Score, ScoreRefused
from atomic_guide.course.lti.practice.platform import (
    CLIENT,
    FAULTS,
    ISSUER,
    PracticePlatform,
    close_practice,
    open_practice,
)
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.web import launch, registration
from atomic_guide.web.practice import practice_routes
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Sessions
from atomic_guide.web.settings import SessionSettings
from atomic_guide.web.tool import Tool
from tests.engines import installed
from tests.fakes.platform import serving
from tests.fakes.site import code_of, error_of


class School(NamedTuple):
    """A development server: the tool at 127.0.0.1, the practice LMS at localhost."""

    tool: str
    front: str
    lti: Lti
    practice: PracticePlatform
    sessions: Sessions


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    clock, held = SystemClock(), SimpleNamespace(app=None)
    installed(tmp_path)
    shards = await open_embedded(tmp_path)
    sessions = Sessions(shards.directory, clock, SessionSettings())

    async def late(scope: object, receive: object, send: object) -> None:
        await held.app(scope, receive, send)

    async with serving(late) as url:
        lti = build_lti(url, shards.directory, clock, LtiSettings(allow_loopback=True))
        practice = await open_practice(lti, shards.directory, "127.0.0.1", int(url.rpartition(":")[2]))
        queues = Queues(shards, clock, QueueSettings())
        media = SimpleNamespace(queues=queues, settings=VideoSettings(), origins=[])
        parts = {"clock": clock, "shards": shards, "sessions": sessions, "lti": lti, "media": media}
        notifications = SimpleNamespace(contacts=SimpleNamespace(on=False))
        tool = cast("Tool", SimpleNamespace(**parts, notifications=notifications))
        declared = [*launch.calls.declared, *registration.calls.declared]
        held.app = create_app(tool, declared, practice_routes(practice))
        yield School(url, practice.front.removesuffix("/practice"), lti, practice, sessions)
        await lti.close()
    await shards.close()


async def launched(school: School, **choice: str) -> httpx.Response:
    """What a browser does after the button, as far as a program can."""
    chosen = {"course": "waves", "person": "student-4", "fault": "", **choice}
    async with httpx.AsyncClient(base_url=school.front, trust_env=False) as browser:
        opened = await browser.get("/practice/open", params=chosen)
        begun = await browser.get(opened.headers["location"])
        answer = await browser.get(begun.headers["location"])
        assert answer.status_code == 200, answer.text
        fields = dict(re.findall(r'name="(state|id_token)" value="([^"]+)"', answer.text))
        target = html.unescape(re.findall(r'action="([^"]+)"', answer.text)[0])
        cookie = begun.headers["set-cookie"].partition(";")[0]
        return await browser.post(target, data=fields, headers={"Cookie": cookie})


async def test_a_student_gets_in_by_the_real_launch(school: School) -> None:
    code = code_of(await launched(school))
    assert code
    session = (await school.sessions.exchange(code)).session
    assert (session.name, session.role, session.title) == ("Student 4", "learner", "Waves and Optics 101")
    code = code_of(await launched(school, person="instructor", course="empty"))
    assert code
    session = (await school.sessions.exchange(code)).session
    assert (session.role, session.title) == ("instructor", "Empty course")


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_spoilt_launch_is_refused_as_the_page_says(school: School, fault: str) -> None:
    answer = await launched(school, fault=fault)
    assert error_of(answer) == FAULTS[fault].code
    assert code_of(answer) is None


async def test_the_page_offers_three_choices_and_has_a_strict_policy(school: School) -> None:
    async with httpx.AsyncClient(base_url=school.front, trust_env=False) as browser:
        page = await browser.get("/practice")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert f"frame-src {school.tool} {school.front}" in policy
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", page.text)
        for label in ("Waves and Optics 101", "Student 7", "New window", "Try a launch that must be refused"):
            assert label in page.text
        for file in re.findall(r'(?:src|href)="(/practice/files/[^"]+)"', page.text):
            assert (await browser.get(file)).status_code == 200
        assert (await browser.get("/practice/files/secrets")).status_code == 404
    async with httpx.AsyncClient(base_url=school.tool, trust_env=False) as browser:
        # Under the tool's own name the frame would not be third-party.
        assert (await browser.get("/practice")).headers["location"] == f"{school.front}/practice"


async def test_other_names_and_other_computers_are_refused(school: School) -> None:
    async with httpx.AsyncClient(base_url=school.front, trust_env=False) as browser:
        assert (await browser.get("/practice", headers={"Host": "evil.example"})).status_code == 403
        assert (await browser.get("/practice/jwks", headers={"Host": "evil.example:80"})).status_code == 403
        # A proxy on this computer that passes the world on.
        assert (await browser.get("/practice", headers={"X-Forwarded-For": "203.0.113.7"})).status_code == 403


async def test_a_choice_or_request_that_cannot_be_is_refused(school: School) -> None:
    async with httpx.AsyncClient(base_url=school.front, trust_env=False) as browser:
        assert (await browser.get("/practice/open", params={"course": "waves", "person": "nobody"})).status_code == 400
        answer = await browser.get("/practice/auth", params={"redirect_uri": "https://evil.example"})
        assert answer.status_code == 400


async def test_roster_and_grades_work_as_at_a_real_lms(school: School) -> None:
    lti = school.lti
    known = await lti.platforms.find(ISSUER, CLIENT, None)
    base = f"{school.tool}/practice/courses/waves"
    members = [one async for page in lti.roster.pages(known, f"{base}/members") for one in page]
    assert len(members) == 43
    assert [one.name for one in members if one.role == "instructor"] == ["Instructor"]
    item = await lti.grades.line_item(known, f"{base}/items", "quiz", "Quiz", 10)
    assert item == await lti.grades.line_item(known, f"{base}/items", "quiz", "Quiz", 10)
    await lti.grades.send(known, item, Score(user="student-4", role="learner", score=8, maximum=10, at=0))
    assert [(one["userId"], one["scoreGiven"]) for one in school.practice.scores] == [("student-4", 8)]
    with pytest.raises(ScoreRefused):
        await lti.grades.send(known, item, Score(user="instructor", role="learner", score=8, maximum=10, at=0))
    async with httpx.AsyncClient(base_url=school.front, trust_env=False) as browser:
        assert (await browser.get("/practice/courses/waves/members")).status_code == 401
        assert (await browser.get("/practice/courses/nothing/members")).status_code == 404


async def test_the_registration_is_found_in_order_and_goes_with_development(school: School) -> None:
    known = await school.lti.platforms.find(ISSUER, CLIENT, None)
    findings = await school.lti.diagnosis.examine(known, [known])
    assert {finding.level for finding in findings} == {"good"}
    await close_practice(school.lti.platforms)
    assert await school.lti.platforms.all() == []
