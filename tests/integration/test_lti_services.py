"""Roster, grades, access tokens, deep links and registration, against a platform that checks what it receives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, KeySetSerialization

from atomic_guide.clock import ManualClock
from atomic_guide.course.lti.grades import Score, ScoreRefused
from atomic_guide.course.lti.outbound import OutboundFailed
from atomic_guide.course.lti.registration import Platform
from atomic_guide.course.lti.roster import Member
from atomic_guide.course.lti.tokens import TokenRefused
from tests.fakes.platform import CLIENT, DEEP, DROP, LTI, MEMBERSHIP, FakePlatform, fake_platform
from tests.fakes.site import BASE, TARGET, Site, draft_of, error_of, launch_site


@pytest.fixture
async def platform() -> AsyncIterator[FakePlatform]:
    async with fake_platform() as served:
        yield served


@pytest.fixture
async def site(tmp_path: Path, platform: FakePlatform) -> AsyncIterator[Site]:
    async with launch_site(tmp_path, platform) as opened:
        platform.tool_keys = await our_keys(opened)
        yield opened


async def our_keys(site: Site) -> KeySet:
    async with site.browser() as browser:
        published = (await browser.get("/lti/jwks")).json()
    assert all("d" not in key and key["alg"] == "RS256" and key["kid"] for key in published["keys"])
    serialized: KeySetSerialization = published
    return KeySet.import_key_set(serialized)


async def registered(site: Site) -> Platform:
    return (await site.lti.platforms.all())[0]


async def everybody(site: Site) -> list[Member]:
    known = await registered(site)
    return [one async for page in site.lti.roster.pages(known, f"{site.platform.url}/roster") for one in page]


LINKS = [
    '<{url}>; rel="next"',
    "<{url}>; rel=next",
    '<{url}>;rel="NEXT"',
    '<https://x.example/a,b>; rel="first", <{url}>; title="x, y"; Rel="last next"',
]


@pytest.mark.parametrize("link", LINKS)
async def test_a_roster_is_read_to_its_end(site: Site, link: str) -> None:
    site.platform.link_header = link
    site.platform.members = [
        {"user_id": "1", "roles": [f"{MEMBERSHIP}#Instructor"], "name": "Ada", "status": "Active"},
        {"user_id": "2", "roles": ["Learner"], "email": "b@example.edu"},
        {"user_id": "3", "roles": [], "given_name": "Cleo", "status": "Inactive"},
        {"user_id": "4", "roles": ["Learner"], "status": "Deleted", "name": None},
        {"user_id": "5", "roles": ["Learner"], "name": "Eve"},
    ]
    members = await everybody(site)
    assert [(one.user, one.role, one.status) for one in members] == [
        ("1", "instructor", "active"),
        ("2", "learner", "active"),
        ("3", "learner", "inactive"),
        ("4", "learner", "deleted"),
        ("5", "learner", "active"),
    ]
    assert [one.name for one in members[::2]] == ["Ada", "Cleo", "Eve"]
    assert members[1].name.startswith("Member ")
    assert site.platform.pages == 3
    assert site.platform.token_requests == 1
    assert site.platform.problems == []


async def test_a_roster_that_goes_in_circles_ends(site: Site) -> None:
    site.platform.members = [{"user_id": str(number), "roles": []} for number in range(4)]
    site.platform.link_header = f'<{site.platform.url}/roster?start=0>; rel="next"'
    with pytest.raises(OutboundFailed, match="does not end"):
        await everybody(site)


async def test_a_roster_that_is_none_is_an_error_that_says_so(site: Site) -> None:
    site.platform.members = [{"roles": []}]
    with pytest.raises(OutboundFailed, match="no list of members"):
        await everybody(site)


async def test_a_token_that_was_withdrawn_is_fetched_anew(site: Site) -> None:
    site.platform.members = [{"user_id": "1"}]
    await everybody(site)
    site.platform.tokens.clear()
    assert len(await everybody(site)) == 1
    assert site.platform.token_requests == 2


async def test_a_token_is_used_until_it_expires(tmp_path: Path, platform: FakePlatform) -> None:
    clock = ManualClock(4_000_000_000.0)
    async with launch_site(tmp_path, platform, clock) as site:
        platform.tool_keys = await our_keys(site)
        platform.members = [{"user_id": "1"}]
        for seconds, requests in ((0, 1), (3000, 1), (600, 2)):
            clock.advance(seconds)
            await everybody(site)
            assert platform.token_requests == requests


async def test_the_audience_of_the_registration_is_used(site: Site) -> None:
    site.platform.token_audience = "https://auth.example.edu"
    with pytest.raises(TokenRefused, match="wrong"):
        await everybody(site)
    await site.lti.platforms.add(draft_of(site.platform, auth_audience="https://auth.example.edu"))
    site.platform.members = [{"user_id": "1"}]
    assert len(await everybody(site)) == 1


async def test_a_column_is_made_once_and_scores_keep_its_query(site: Site) -> None:
    known, grades = await registered(site), site.lti.grades
    items = f"{site.platform.url}/items"
    first = await grades.line_item(known, items, "quiz-1", "Quiz 1", 20.0)
    again = await grades.line_item(known, items, "quiz-1", "Quiz 1", 20.0)
    assert (first, len(site.platform.items)) == (again, 1)
    await grades.send(known, first, Score(user="user-1", role="learner", score=17.5, maximum=20, at=1_700_000_000.0))
    sent = site.platform.scores[0]
    assert (sent["userId"], sent["scoreGiven"], sent["scoreMaximum"]) == ("user-1", 17.5, 20)
    assert sent["timestamp"] == "2023-11-14T22:13:20.000Z"
    assert (sent["activityProgress"], sent["gradingProgress"]) == ("Completed", "FullyGraded")
    assert site.platform.problems == []


async def test_a_teacher_is_never_scored(site: Site) -> None:
    known, grades = await registered(site), site.lti.grades
    item = await grades.line_item(known, f"{site.platform.url}/items", "quiz-1", "Quiz 1", 20.0)
    with pytest.raises(ScoreRefused, match="teaches"):
        await grades.send(known, item, Score(user="user-1", role="instructor", score=1, maximum=20, at=0))
    # Somebody whom the platform, but not the last launch, has as a teacher.
    site.platform.teachers = {"user-2"}
    with pytest.raises(ScoreRefused, match="not a student"):
        await grades.send(known, item, Score(user="user-2", role="learner", score=1, maximum=20, at=0))
    assert site.platform.scores == []


def deep_linking(**settings: Any) -> dict[str, Any]:
    given = {"deep_link_return_url": "https://lms.example.edu/deep?a=1&b=2", "accept_types": ["ltiResourceLink"]}
    return {
        f"{LTI}message_type": "LtiDeepLinkingRequest",
        f"{LTI}resource_link": DROP,
        f"{LTI}roles": ["Instructor"],
        f"{DEEP}deep_linking_settings": {**given, **settings},
    }


async def test_an_instructor_adds_the_course_room(site: Site) -> None:
    answer = await site.launch(**deep_linking(data="opaque"))
    assert answer.status_code == 200
    assert 'action="https://lms.example.edu/deep?a=1&amp;b=2"' in answer.text
    assert "form-action 'self' https://lms.example.edu" in answer.headers["content-security-policy"]
    room, nothing = (
        jwt.decode(token, site.platform.tool_keys, algorithms=["RS256"]).claims
        for token in re.findall(r'name="JWT" value="([^"]+)"', answer.text)
    )
    assert (room["iss"], room["aud"], room[f"{DEEP}data"]) == (CLIENT, site.platform.issuer, "opaque")
    assert room[f"{LTI}message_type"] == "LtiDeepLinkingResponse"
    assert [(item["type"], item["url"]) for item in room[f"{DEEP}content_items"]] == [("ltiResourceLink", TARGET)]
    assert nothing[f"{DEEP}content_items"] == []
    assert room["nonce"] != nothing["nonce"]


async def test_deep_linking_is_for_instructors_and_links(site: Site) -> None:
    answer = await site.launch(**{**deep_linking(), f"{LTI}roles": ["Learner"]})
    assert (answer.status_code, error_of(answer)) == (403, "LTI_DEEP_LINKING_LEARNER")
    answer = await site.launch(**deep_linking(accept_types=["file"]))
    assert (answer.status_code, error_of(answer)) == (400, "LTI_DEEP_LINKING_NO_LINKS")


async def register(site: Site, **query: str) -> httpx.Response:
    sent = {"openid_configuration": f"{site.platform.url}/.well-known/openid-configuration", **query}
    async with site.browser() as browser:
        return await browser.get("/lti/register", params={name: value for name, value in sent.items() if value})


async def test_an_invited_platform_registers_itself_once(site: Site) -> None:
    assert error_of(await register(site)) == "LTI_REGISTRATION_CLOSED"
    invitation = await site.lti.invitations.issue()
    answer = await register(site, invitation=invitation, registration_token="secret")
    assert answer.status_code == 200, answer.text
    assert "/lti/close.js" in answer.text
    sent, authorization = site.platform.registrations[0]
    assert authorization == "Bearer secret"
    assert sent["jwks_uri"] == f"{BASE}/lti/jwks"
    assert sent["redirect_uris"] == [TARGET]
    known = await site.lti.platforms.find(site.platform.issuer, "dynamic-1", "dynamic-1")
    assert known.active
    assert error_of(await register(site, invitation=invitation)) == "LTI_REGISTRATION_CLOSED"


DISCOVERIES: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://lms.example.edu"},
    "registration elsewhere": {"registration_endpoint": "https://evil.example/register"},
    "no key set": {"jwks_uri": None},
    "addresses in the house": {"token_endpoint": "https://10.0.0.1/token"},
}


@pytest.mark.parametrize("case", DISCOVERIES)
async def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path, platform: FakePlatform, case: str) -> None:
    platform.discovery = DISCOVERIES[case]
    async with launch_site(tmp_path, platform, open_registration=True) as site:
        answer = await register(site)
        assert (answer.status_code, error_of(answer)) == (400, "LTI_REGISTRATION_FAILED")
        assert len(await site.lti.platforms.all()) == 1
        missing = await register(site, openid_configuration="")
        assert error_of(missing) == "LTI_REGISTRATION_INCOMPLETE"


async def test_registration_calls_nobody_in_the_house(tmp_path: Path, platform: FakePlatform) -> None:
    async with launch_site(tmp_path, platform, open_registration=True) as site:
        for address in (
            "https://169.254.169.254/latest",
            "http://lms.example.edu/conf",
            "file:///etc/passwd",
            "https://[::1]x",
        ):
            assert error_of(await register(site, openid_configuration=address)) == "LTI_REGISTRATION_FAILED"


async def test_canvas_finds_its_configuration(site: Site) -> None:
    async with site.browser() as browser:
        answer = (await browser.get("/lti/config.json")).json()
    assert answer["oidc_initiation_url"] == f"{BASE}/lti/init"
    assert answer["public_jwk_url"] == f"{BASE}/lti/jwks"
    placements = answer["extensions"][0]["settings"]["placements"]
    assert {placement["target_link_uri"] for placement in placements} == {TARGET}


async def test_a_new_key_is_published_before_it_signs(tmp_path: Path, platform: FakePlatform) -> None:
    clock = ManualClock()
    async with launch_site(tmp_path, platform, clock, key_days=1, key_publish_seconds=3600) as site:
        first = (await site.lti.signing.published())["keys"]
        clock.advance(86_401)
        both = (await site.lti.signing.published())["keys"]
        assert [key["kid"] for key in both][:1] == [key["kid"] for key in first]
        assert len(both) == 2
        assert kid_of(await site.lti.signing.sign({})) == both[0]["kid"]
        clock.advance(3601)
        assert kid_of(await site.lti.signing.sign({})) == both[1]["kid"]
        clock.advance(86_400)
        await site.lti.prune()
        assert both[0]["kid"] not in [key["kid"] for key in (await site.lti.signing.published())["keys"]]


def kid_of(token: str) -> str:
    from joserfc import jws  # noqa: PLC0415 - only here

    kid: str = jws.extract_compact(token.encode()).protected["kid"]
    return kid


async def test_another_process_sees_a_registration_within_a_second(tmp_path: Path, platform: FakePlatform) -> None:
    clock = ManualClock()
    async with launch_site(tmp_path, platform, clock) as server, launch_site(tmp_path, platform, clock) as command:
        fields = {"client_id": "late", "lti_deployment_id": "late-1"}
        assert error_of((await server.start(**fields)).answer) == "LTI_PLATFORM_UNKNOWN"
        await command.lti.platforms.add(draft_of(platform, client_id="late", deployment_id="late-1"))
        clock.advance(1)
        assert (await server.start(**fields)).answer.status_code == 302
        for known in await command.lti.platforms.all():
            if known.client_id == "late":
                await command.lti.platforms.remove(known)
        clock.advance(1)
        assert error_of((await server.start(**fields)).answer) == "LTI_PLATFORM_UNKNOWN"


async def test_a_platform_that_is_spelt_almost_right_is_told_so(site: Site) -> None:
    answer = (await site.start(iss=f"{site.platform.issuer}/", client_id=None)).answer
    assert error_of(answer) == "LTI_PLATFORM_UNKNOWN"
    assert f"registered is {site.platform.issuer}" in answer.text
