"""Launches as an LMS and a browser see them: who gets in, who does not and why."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.web.pages import Markup, Page, policy
from tests.fakes.platform import CLIENT, DEEP, DROP, LTI, MEMBERSHIP, FakePlatform, fake_platform
from tests.fakes.site import TARGET, Site, code_of, draft_of, error_of, launch_site


@pytest.fixture
async def platform() -> AsyncIterator[FakePlatform]:
    async with fake_platform() as served:
        yield served


@pytest.fixture
async def site(tmp_path: Path, platform: FakePlatform) -> AsyncIterator[Site]:
    async with launch_site(tmp_path, platform) as opened:
        yield opened


def assert_refused(answer: httpx.Response, code: str) -> None:
    assert error_of(answer) == code, answer.text
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("text/html")
    assert code_of(answer) is None


async def test_a_launch_gets_a_page_with_a_code_that_is_a_session(site: Site) -> None:
    answer = await site.launch()
    assert answer.status_code == 200
    code = code_of(answer)
    assert code
    session = (await site.sessions.exchange(code)).session
    assert (session.user, session.name, session.role, session.title) == (
        "user-1",
        "Ada Lovelace",
        "learner",
        "Waves and Optics 101",
    )


def _corrupt(token: str) -> str:
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _unsigned(claims: dict[str, Any]) -> str:
    parts = [{"alg": "none", "kid": "x", "typ": "JWT"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


NOW = int(time.time())
TOKENS: dict[str, tuple[str, Callable[[FakePlatform, dict[str, Any]], str]]] = {
    "no kid": ("LTI_KID_MISSING", lambda p, c: p.sign(c, kid=DROP)),
    "empty kid": ("LTI_KID_MISSING", lambda p, c: p.sign(c, kid="")),
    "unknown kid": ("LTI_KID_UNKNOWN", lambda p, c: p.sign(c, kid="nobody")),
    "kid of another type": (
        "LTI_TOKEN_MALFORMED",
        lambda p, c: p.sign(c).replace(p.sign(c).split(".")[0], "eyJraWQiOjF9"),
    ),
    "bad signature": ("LTI_SIGNATURE_BAD", lambda p, c: _corrupt(p.sign(c))),
    "changed payload": (
        "LTI_SIGNATURE_BAD",
        lambda p, c: ".".join(
            [p.sign(c).split(".")[0], p.sign({**c, "sub": "admin"}).split(".")[1], p.sign(c).split(".")[2]]
        ),
    ),
    "no signature": ("LTI_SIGNATURE_BAD", lambda p, c: p.sign(c).rpartition(".")[0] + "."),
    "none": ("LTI_ALGORITHM_REFUSED", lambda _p, c: _unsigned(c)),
    "HS256 with the public key": ("LTI_ALGORITHM_REFUSED", lambda p, c: p.sign_with_secret(c)),
    "embedded jwk": ("LTI_KEY_EMBEDDED", lambda p, c: p.sign(c, jwk=p.keys[p.kid].as_dict(private=False))),
    "embedded jku": ("LTI_KEY_EMBEDDED", lambda p, c: p.sign(c, jku="https://evil.example/jwks")),
    "embedded x5u": ("LTI_KEY_EMBEDDED", lambda p, c: p.sign(c, x5u="https://evil.example/x")),
    "embedded x5c": ("LTI_KEY_EMBEDDED", lambda p, c: p.sign(c, x5c=["MII"])),
    "no token": ("LTI_TOKEN_MISSING", lambda _p, _c: ""),
    "two parts": ("LTI_TOKEN_MALFORMED", lambda _p, _c: "a.b"),
    "not base64": ("LTI_TOKEN_MALFORMED", lambda _p, _c: "!.b.c"),
    "a header that is a list": ("LTI_TOKEN_MALFORMED", lambda _p, _c: "W10.b.c"),
    "too large": ("LTI_TOKEN_TOO_LARGE", lambda p, c: p.sign({**c, "custom": "x" * 70_000})),
}


@pytest.mark.parametrize("case", TOKENS)
async def test_a_token_that_is_not_the_platforms_is_refused(site: Site, case: str) -> None:
    code, make = TOKENS[case]
    started = await site.start()
    good = site.platform.claims(started.nonce, TARGET)
    assert_refused(await site.post(started.state, make(site.platform, good), started.cookie), code)
    # Nothing was used up: the good launch of the same login still gets in.
    assert code_of(await site.post(started.state, site.platform.sign(good), started.cookie))


CLAIMS: dict[str, tuple[str, dict[str, Any]]] = {
    "no exp": ("LTI_EXP_MISSING", {"exp": DROP}),
    "expired": ("LTI_EXPIRED", {"exp": NOW - 5}),
    "no iat": ("LTI_IAT_MISSING", {"iat": DROP}),
    "iat ahead": ("LTI_IAT_FUTURE", {"iat": NOW + 3700, "exp": NOW + 3760}),
    "nbf ahead": ("LTI_NOT_YET_VALID", {"nbf": NOW + 3700}),
    "wrong iss": ("LTI_ISSUER_WRONG", {"iss": "https://evil.example"}),
    "no iss": ("LTI_ISSUER_WRONG", {"iss": DROP}),
    "wrong aud": ("LTI_AUDIENCE_WRONG", {"aud": "somebody"}),
    "no aud": ("LTI_AUDIENCE_WRONG", {"aud": DROP}),
    "empty aud": ("LTI_AUDIENCE_WRONG", {"aud": []}),
    "several aud without azp": ("LTI_AZP_MISSING", {"aud": [CLIENT, "other"]}),
    "foreign azp": ("LTI_AZP_FOREIGN", {"azp": "other"}),
    "several aud with foreign azp": ("LTI_AZP_FOREIGN", {"aud": [CLIENT, "other"], "azp": "other"}),
    "no sub": ("LTI_SUBJECT_MISSING", {"sub": DROP}),
    "empty sub": ("LTI_SUBJECT_MISSING", {"sub": ""}),
    "no nonce": ("LTI_NONCE_MISSING", {"nonce": DROP}),
    "unknown nonce": ("LTI_NONCE_UNKNOWN", {"nonce": "never given out"}),
    "no version": ("LTI_VERSION_MISSING", {f"{LTI}version": DROP}),
    "wrong version": ("LTI_VERSION_WRONG", {f"{LTI}version": "1.1.0"}),
    "no message type": ("LTI_MESSAGE_TYPE_MISSING", {f"{LTI}message_type": DROP}),
    "unknown message type": ("LTI_MESSAGE_TYPE_UNKNOWN", {f"{LTI}message_type": "LtiSubmissionReviewRequest"}),
    "no deployment": ("LTI_DEPLOYMENT_MISSING", {f"{LTI}deployment_id": DROP}),
    "unknown deployment": ("LTI_DEPLOYMENT_UNKNOWN", {f"{LTI}deployment_id": "deployment-2"}),
    "no resource link": ("LTI_RESOURCE_LINK_MISSING", {f"{LTI}resource_link": DROP}),
    "no resource link id": ("LTI_RESOURCE_LINK_MISSING", {f"{LTI}resource_link": {"title": "Room"}}),
    "no roles claim": ("LTI_ROLES_MISSING", {f"{LTI}roles": DROP}),
    "no target": ("LTI_TARGET_MISSING", {f"{LTI}target_link_uri": DROP}),
    "foreign target": ("LTI_TARGET_FOREIGN", {f"{LTI}target_link_uri": "https://evil.example/lti/launch"}),
    "deep linking without settings": (
        "LTI_DEEP_LINKING_SETTINGS_MISSING",
        {f"{LTI}message_type": "LtiDeepLinkingRequest", f"{LTI}resource_link": DROP},
    ),
    "deep linking without return URL": (
        "LTI_DEEP_LINKING_RETURN_MISSING",
        {f"{LTI}message_type": "LtiDeepLinkingRequest", f"{DEEP}deep_linking_settings": {"accept_types": []}},
    ),
    "deep linking to a script": (
        "LTI_DEEP_LINKING_RETURN_MISSING",
        {
            f"{LTI}message_type": "LtiDeepLinkingRequest",
            f"{DEEP}deep_linking_settings": {"deep_link_return_url": "javascript:alert(1)"},
        },
    ),
    "sub is a number": ("LTI_CLAIMS_MALFORMED", {"sub": 7}),
    "exp is a text": ("LTI_CLAIMS_MALFORMED", {"exp": "tomorrow"}),
    "exp is true": ("LTI_CLAIMS_MALFORMED", {"exp": True}),
    "roles is a text": ("LTI_CLAIMS_MALFORMED", {f"{LTI}roles": "Instructor"}),
    "context is a text": ("LTI_CLAIMS_MALFORMED", {f"{LTI}context": "course-1"}),
    "a NUL in an id": ("LTI_CLAIMS_MALFORMED", {"sub": "a\x00b"}),
    "an endless id": ("LTI_CLAIMS_MALFORMED", {"sub": "a" * 256}),
}


@pytest.mark.parametrize("case", CLAIMS)
async def test_a_claim_that_is_missing_or_wrong_is_refused(site: Site, case: str) -> None:
    code, changes = CLAIMS[case]
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET, **changes))
    assert_refused(await site.post(started.state, token, started.cookie), code)
    good = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    assert code_of(await site.post(started.state, good, started.cookie))


ACCEPTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "aud as list": ({"aud": [CLIENT]}, "learner", "Ada Lovelace"),
    "several aud with our azp": ({"aud": ["other", CLIENT], "azp": CLIENT}, "learner", "Ada Lovelace"),
    "azp beside one aud": ({"azp": CLIENT}, "learner", "Ada Lovelace"),
    "empty roles": ({f"{LTI}roles": []}, "learner", "Ada Lovelace"),
    "unknown role": ({f"{LTI}roles": ["https://example.edu/roles#Dean"]}, "learner", "Ada Lovelace"),
    "short form": ({f"{LTI}roles": ["Instructor"]}, "instructor", "Ada Lovelace"),
    "several roles": (
        {f"{LTI}roles": [f"{MEMBERSHIP}#Learner", f"{MEMBERSHIP}#Instructor"]}, "instructor", "Ada Lovelace",
    ),
    "assistant": ({f"{LTI}roles": [f"{MEMBERSHIP}/Instructor#TeachingAssistant"]}, "instructor", "Ada Lovelace"),
    "designer": ({f"{LTI}roles": [f"{MEMBERSHIP}#ContentDeveloper"]}, "instructor", "Ada Lovelace"),
    "administrator": (
        {f"{LTI}roles": ["http://purl.imsglobal.org/vocab/lis/v2/institution/person#Administrator"]},
        "instructor",
        "Ada Lovelace",
    ),
    "teacher elsewhere": (
        {
            f"{LTI}roles": [
                "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor",
                f"{MEMBERSHIP}#Learner",
            ]
        },
        "learner",
        "Ada Lovelace",
    ),
    "no name": ({"name": DROP}, "learner", "Member "),
    "name parts": ({"name": DROP, "given_name": "Ada", "family_name": "King"}, "learner", "Ada King"),
    "name is an e-mail address": ({"name": "ada@example.edu"}, "learner", "Member "),
    "e-mail": ({"email": "ada@example.edu"}, "learner", "Ada Lovelace"),
    "no context title": ({f"{LTI}context": {"id": "course-1"}}, "learner", "Ada Lovelace"),
    "no context": ({f"{LTI}context": DROP}, "learner", "Ada Lovelace"),
    "null claims": ({"name": None, "nbf": None, "azp": None, f"{LTI}context": None}, "learner", "Member "),
    "fractional times": ({"iat": time.time(), "exp": time.time() + 3600}, "learner", "Ada Lovelace"),
    "clock a little ahead": ({"iat": NOW + 30, "exp": NOW + 3600}, "learner", "Ada Lovelace"),
    "unknown claims": ({"https://example.edu/custom": {"a": [1, None]}}, "learner", "Ada Lovelace"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
async def test_a_good_variant_is_accepted(site: Site, case: str) -> None:
    changes, role, name = ACCEPTED[case]
    code = code_of(await site.launch(**changes))
    assert code
    session = (await site.sessions.exchange(code)).session
    assert session.role == role
    assert session.name.startswith(name)
    assert "@" not in session.name
    assert session.title


async def test_a_launch_needs_a_state_that_is_known(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    assert_refused(await site.post(None, token, started.cookie), "LTI_STATE_MISSING")
    assert_refused(await site.post("made up", token, started.cookie), "LTI_STATE_UNKNOWN")
    assert_refused(
        await site.post("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), token), "LTI_STATE_UNKNOWN"
    )


async def test_a_state_is_good_once(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    assert code_of(await site.post(started.state, token, started.cookie))
    assert_refused(await site.post(started.state, token, started.cookie), "LTI_STATE_REUSED")


async def test_a_nonce_is_good_for_its_login_only(site: Site) -> None:
    first, second = await site.start(), await site.start()
    token = site.platform.sign(site.platform.claims(first.nonce, TARGET))
    assert_refused(await site.post(second.state, token, second.cookie), "LTI_NONCE_FOREIGN")
    assert code_of(await site.post(first.state, token, first.cookie))
    assert_refused(await site.post(second.state, token, second.cookie), "LTI_NONCE_REUSED")


async def test_a_state_is_good_for_its_platform_only(site: Site) -> None:
    async with fake_platform() as other:
        await site.lti.platforms.add(draft_of(other))
        started = await site.start()
        token = other.sign(other.claims(started.nonce, TARGET), kid=site.platform.kid)
        assert_refused(await site.post(started.state, token, started.cookie), "LTI_SIGNATURE_BAD")
        token = site.platform.sign(site.platform.claims(started.nonce, TARGET, iss=other.issuer))
        assert_refused(await site.post(started.state, token, started.cookie), "LTI_STATE_FOREIGN")


async def test_one_of_a_hundred_posts_of_a_launch_wins(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    answers = await asyncio.gather(*(site.post(started.state, token, started.cookie) for _ in range(100)))
    codes = [code for code in map(code_of, answers) if code]
    assert len(codes) == 1
    assert {error_of(answer) for answer in answers if not code_of(answer)} == {"LTI_STATE_REUSED"}
    assert (await site.sessions.exchange(codes[0])).session.user == "user-1"


async def test_an_inactive_registration_is_refused(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    await site.lti.platforms.add(draft_of(site.platform, active=False))
    assert_refused(await site.post(started.state, token, started.cookie), "LTI_PLATFORM_INACTIVE")
    assert_refused((await site.start()).answer, "LTI_PLATFORM_INACTIVE")


async def test_a_removed_registration_is_refused(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    for known in await site.lti.platforms.all():
        await site.lti.platforms.remove(known)
    assert_refused(await site.post(started.state, token, started.cookie), "LTI_PLATFORM_UNKNOWN")


LOGINS: dict[str, tuple[str, dict[str, str | None]]] = {
    "no issuer": ("LTI_LOGIN_INCOMPLETE", {"iss": None}),
    "no login hint": ("LTI_LOGIN_INCOMPLETE", {"login_hint": None}),
    "unknown issuer": ("LTI_PLATFORM_UNKNOWN", {"iss": "https://evil.example"}),
    "unknown client": ("LTI_PLATFORM_UNKNOWN", {"client_id": "somebody"}),
    "unknown deployment": ("LTI_DEPLOYMENT_UNKNOWN", {"lti_deployment_id": "deployment-2"}),
    "no target": ("LTI_TARGET_MISSING", {"target_link_uri": None}),
    "foreign target": ("LTI_TARGET_FOREIGN", {"target_link_uri": "https://evil.example/lti/launch"}),
    "target with our name in front": (
        "LTI_TARGET_FOREIGN", {"target_link_uri": "https://tool.example.edu@evil.example/"},
    ),
    "endless hint": ("LTI_FORM_TOO_LARGE", {"lti_message_hint": "x" * 5000}),
}  # fmt: skip


@pytest.mark.parametrize("case", LOGINS)
async def test_a_login_that_cannot_be_is_refused(site: Site, case: str) -> None:
    code, changes = LOGINS[case]
    assert_refused((await site.start(**changes)).answer, code)


async def test_a_login_goes_to_the_registered_address_only(site: Site) -> None:
    started = await site.start(lti_message_hint="a hint & more", auth_url="https://evil.example")
    assert started.answer.status_code == 302
    place = httpx.URL(started.answer.headers["location"])
    assert str(place).startswith(f"{site.platform.url}/auth?")
    assert place.params["lti_message_hint"] == "a hint & more"
    assert place.params["redirect_uri"] == TARGET
    assert (place.params["response_mode"], place.params["prompt"]) == ("form_post", "none")


async def test_a_login_may_begin_by_get(site: Site) -> None:
    query = {"iss": site.platform.issuer, "login_hint": "hint", "target_link_uri": TARGET}
    async with site.browser() as browser:
        assert (await browser.get("/lti/init", params=query)).status_code == 302


async def test_several_clients_of_one_issuer_are_told_apart_by_deployment(site: Site) -> None:
    await site.lti.platforms.add(draft_of(site.platform, client_id="client-2", deployment_id="deployment-2"))
    assert_refused((await site.start(client_id=None)).answer, "LTI_CLIENT_AMBIGUOUS")
    started = await site.start(client_id=None, lti_deployment_id="deployment-2")
    assert httpx.URL(started.answer.headers["location"]).params["client_id"] == "client-2"


BODIES: dict[str, tuple[str, bytes, str]] = {
    "broken UTF-8": ("LTI_FORM_MALFORMED", b"state=%ff&id_token=a.b.c", "application/x-www-form-urlencoded"),
    "raw broken UTF-8": ("LTI_FORM_MALFORMED", b"state=\xff", "application/x-www-form-urlencoded"),
    "a field twice": ("LTI_FORM_MALFORMED", b"state=a&state=b&id_token=a.b.c", "application/x-www-form-urlencoded"),
    "too many fields": ("LTI_FORM_MALFORMED", b"a=1&" * 100, "application/x-www-form-urlencoded"),
    "JSON": ("LTI_FORM_MALFORMED", b'{"state": "a"}', "application/json"),
    "huge": ("LTI_FORM_TOO_LARGE", b"state=" + b"a" * 200_000, "application/x-www-form-urlencoded"),
    "the platform's error": (
        "LTI_PLATFORM_ERROR",
        b"error=login_required&error_description=%3Cscript%3E&state=a",
        "application/x-www-form-urlencoded",
    ),
}


@pytest.mark.parametrize("case", BODIES)
async def test_a_body_that_is_no_launch_is_refused(site: Site, case: str) -> None:
    code, body, kind = BODIES[case]
    async with site.browser() as browser:
        for path in ("/lti/launch", "/lti/launch/continue"):
            answer = await browser.post(path, content=body, headers={"Content-Type": kind})
            assert_refused(answer, code)
            assert "<script>" not in answer.text


async def test_a_page_that_was_reloaded_says_what_to_do(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.get("/lti/launch")
    assert_refused(answer, "LTI_LAUNCH_BY_GET")
    assert answer.headers["allow"] == "POST"


async def test_the_course_page_has_a_strict_policy(site: Site) -> None:
    back = {f"{LTI}launch_presentation": {"locale": "ar", "return_url": "https://school.example.edu/back"}}
    answer = await site.launch(**back)
    assert '<html lang="ar" dir="rtl">' in answer.text
    assert '<meta name="atomic-guide-locale" content="ar">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; worker-src 'self' blob:; font-src 'self'; form-action 'self'; base-uri 'none'; "
        f"frame-ancestors 'self' {site.platform.url} https://school.example.edu"
    )


def test_a_page_may_get_lectures_from_the_stores_that_players_are_sent_to() -> None:
    said = policy(Page("Course", Markup(""), stores=["https://s3.example", "https://cdn.example"])).split("; ")
    for name in ("img-src 'self' blob: data:", "media-src 'self' blob:", "connect-src 'self'"):
        assert f"{name} https://s3.example https://cdn.example" in said
    assert "script-src 'self'" in said


async def test_a_reload_gets_the_page_without_a_code(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.get("/course")
    assert answer.status_code == 200
    assert code_of(answer) is None
    assert f"frame-ancestors 'self' {site.platform.url}" in answer.headers["content-security-policy"]


async def test_titles_and_names_cannot_break_out_of_the_page(site: Site) -> None:
    answer = await site.launch(
        name='"><script>alert(1)</script>', **{f"{LTI}launch_presentation": {"locale": '"><script>'}}
    )
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert '<html lang="en" dir="ltr">' in answer.text


async def test_a_launch_enrols_course_and_member(site: Site) -> None:
    for name in ("Ada", "Ada King"):
        await site.launch(name=name)
    await site.launch(sub="user-2", **{f"{LTI}context": {"id": "course-1"}})
    members, courses = await _rows(site, "members"), await _rows(site, "courses")
    assert sorted((row["user"], row["name"]) for row in members) == [("user-1", "Ada King"), ("user-2", "Ada Lovelace")]
    assert [(row["context"], row["title"]) for row in courses] == [("course-1", "Waves and Optics 101")]


async def _rows(site: Site, table: str) -> list[Any]:
    from atomic_guide.engines.data.queries import Query  # noqa: PLC0415 - only here

    query = Query("all", "Every row.", {None: f"SELECT * FROM {table}"})  # noqa: S608 - a name of ours
    return [row for shard in site.shards.all() for row in await shard.read(query)]
