"""A launch is let in only in the browser that began its login."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.clock import ManualClock
from tests.fakes.platform import FakePlatform, fake_platform
from tests.fakes.site import BASE, TARGET, Site, code_of, error_of, launch_site


@pytest.fixture
async def platform() -> AsyncIterator[FakePlatform]:
    async with fake_platform() as served:
        yield served


@pytest.fixture
async def site(tmp_path: Path, platform: FakePlatform) -> AsyncIterator[Site]:
    async with launch_site(tmp_path, platform) as opened:
        yield opened


def binding_of(answer: httpx.Response) -> dict[str, Any]:
    found = re.search(r'<meta name="atomic-guide-binding" content="([^"]+)">', answer.text)
    assert found, answer.text
    facts: dict[str, Any] = json.loads(html.unescape(found[1]))
    return facts


async def test_the_cookie_is_one_that_a_frame_keeps(site: Site) -> None:
    header = (await site.start()).answer.headers["set-cookie"]
    name, _, attributes = header.partition("; ")
    assert re.fullmatch(r"__Host-ag-[0-9a-f]{16}=[\w-]{43}", name)
    assert attributes == "Max-Age=300; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"


async def test_the_cookie_goes_after_the_launch(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    answer = await site.post(started.state, token, started.cookie)
    assert answer.headers["set-cookie"].startswith(f"{started.cookie.partition('=')[0]}=; Max-Age=0;")


async def test_a_browser_keeps_few_cookies(site: Site) -> None:
    cookies = [f"__Host-ag-{number:016x}=x" for number in range(12)]
    fields = {"iss": site.platform.issuer, "login_hint": "hint", "target_link_uri": TARGET}
    async with site.browser() as browser:
        answer = await browser.post("/lti/init", data=fields, headers={"Cookie": "; ".join(cookies)})
    set_cookies = answer.headers.get_list("set-cookie")
    dropped = [header for header in set_cookies if "Max-Age=0" in header]
    assert [header.partition("=")[0] for header in dropped] == [f"__Host-ag-{number:016x}" for number in range(5)]


async def test_without_the_cookie_there_is_no_code_and_nothing_is_used_up(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    answer = await site.post(started.state, token)
    assert answer.status_code == 200
    assert code_of(answer) is None
    assert error_of(answer) is None
    assert binding_of(answer)["target"] is None
    assert code_of(await site.post(started.state, token, started.cookie))


async def test_without_the_cookie_a_bad_launch_is_still_refused(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET, exp=1))
    answer = await site.post(started.state, token)
    assert (answer.status_code, error_of(answer)) == (400, "LTI_EXPIRED")


async def test_another_browsers_cookie_is_refused(site: Site) -> None:
    started = await site.start()
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    name = started.cookie.partition("=")[0]
    answer = await site.post(started.state, token, f"{name}=somebody-else")
    assert (answer.status_code, error_of(answer)) == (403, "LTI_BROWSER_FOREIGN")
    assert code_of(await site.post(started.state, token, started.cookie))


async def test_the_platforms_storage_proves_the_browser(site: Site) -> None:
    started = await site.start(lti_storage_target="storage_frame")
    assert started.answer.status_code == 200
    stored = binding_of(started.answer)
    assert stored["step"] == "store"
    assert (stored["target"], stored["origin"]) == ("storage_frame", site.platform.url)
    assert stored["next"].startswith(f"{site.platform.url}/auth?")
    assert html.escape(stored["next"]) in started.answer.text

    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    page = await site.post(started.state, token)
    asked = binding_of(page)
    assert (asked["step"], asked["field"]) == ("prove", "binding")
    assert {name: asked[name] for name in ("target", "origin", "key")} == {
        name: stored[name] for name in ("target", "origin", "key")
    }
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    async with site.browser() as browser:
        wrong = await browser.post("/lti/launch/continue", data={**form, "binding": "guessed"})
        assert error_of(wrong) == "LTI_BROWSER_FOREIGN"
        empty = await browser.post("/lti/launch/continue", data=form)
        assert error_of(empty) == "LTI_BROWSER_FOREIGN"
        proven = await browser.post("/lti/launch/continue", data={**form, "binding": stored["value"]})
        assert code_of(proven)
        again = await browser.post("/lti/launch/continue", data={**form, "binding": stored["value"]})
        assert error_of(again) == "LTI_STATE_REUSED"


async def test_a_new_window_begins_the_login_again(site: Site) -> None:
    started = await site.start(lti_message_hint="hint & co", lti_deployment_id="deployment-1")
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    page = await site.post(started.state, token)
    found = re.search(r'id="continue"[^>]*href="([^"]+)"', page.text)
    assert found
    link = httpx.URL(html.unescape(found[1]))
    assert str(link).startswith(f"{BASE}/lti/init?")
    async with site.browser() as browser:
        answer = await browser.get(link)
    place = httpx.URL(answer.headers["location"])
    assert place.params["lti_message_hint"] == "hint & co"
    # The platform launches again, in the window; its cookie is a first-party one.
    token = site.platform.sign(site.platform.claims(place.params["nonce"], TARGET))
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert code_of(await site.post(place.params["state"], token, cookie))


async def test_a_window_without_cookies_is_told_to_allow_them(site: Site) -> None:
    started = await site.start(in_window="1")
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET))
    assert "Allow cookies" in (await site.post(started.state, token)).text


async def test_a_login_expires(tmp_path: Path, platform: FakePlatform) -> None:
    clock = ManualClock()
    async with launch_site(tmp_path, platform, clock) as site:
        started = await site.start()
        now = int(clock.now())
        clock.advance(301)
        token = platform.sign(platform.claims(started.nonce, TARGET, iat=now, exp=now + 3600))
        assert error_of(await site.post(started.state, token, started.cookie)) == "LTI_STATE_EXPIRED"
        clock.advance(600)
        await site.lti.prune()
        assert error_of(await site.post(started.state, token, started.cookie)) == "LTI_STATE_UNKNOWN"


async def test_a_flood_forgets_the_oldest_logins(tmp_path: Path, platform: FakePlatform) -> None:
    async with launch_site(tmp_path, platform, pending_logins=100) as site:
        first = await site.start()
        others = [await site.start() for _ in range(100)]
        token = platform.sign(platform.claims(first.nonce, TARGET))
        assert error_of(await site.post(first.state, token, first.cookie)) == "LTI_STATE_UNKNOWN"
        for started in (others[0], others[-1]):
            token = platform.sign(platform.claims(started.nonce, TARGET))
            assert code_of(await site.post(started.state, token, started.cookie))


async def test_an_address_may_begin_only_so_many_logins(tmp_path: Path, platform: FakePlatform) -> None:
    clock = ManualClock()
    async with launch_site(tmp_path, platform, clock, logins_per_minute=60) as site:
        answers = [(await site.start()).answer for _ in range(61)]
        assert {answer.status_code for answer in answers[:60]} == {302}
        assert (answers[60].status_code, error_of(answers[60])) == (429, "LTI_TOO_MANY_LOGINS")
        assert int(answers[60].headers["retry-after"]) >= 1
        clock.advance(1)
        assert (await site.start()).answer.status_code == 302
