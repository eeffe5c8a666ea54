"""How often a platform's key set is fetched, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, Response

from atomic_guide.clock import ManualClock
from atomic_guide.course.lti.keysets import HELD, RETRY_SECONDS, STALE_SECONDS
from atomic_guide.course.lti.registration import Draft
from tests.fakes.platform import FakePlatform, fake_platform
from tests.fakes.site import TARGET, Site, code_of, error_of, launch_site


@pytest.fixture
async def platform() -> AsyncIterator[FakePlatform]:
    async with fake_platform() as served:
        yield served


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def site(tmp_path: Path, platform: FakePlatform, clock: ManualClock) -> AsyncIterator[Site]:
    async with launch_site(tmp_path, platform, clock) as opened:
        yield opened


async def launched(site: Site, clock: ManualClock, **header: Any) -> str | None:
    started = await site.start()
    now = int(clock.now())
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET, iat=now, exp=now + 60), **header)
    answer = await site.post(started.state, token, started.cookie)
    return error_of(answer) or ("in" if code_of(answer) else None)


async def test_many_launches_fetch_once_and_twice_across_a_rotation(site: Site, clock: ManualClock) -> None:
    site.platform.keyset_delay = 0.05
    assert await asyncio.gather(*(launched(site, clock) for _ in range(50))) == ["in"] * 50
    assert site.platform.fetches == 1
    site.platform.rotate()
    assert await asyncio.gather(*(launched(site, clock) for _ in range(50))) == ["in"] * 50
    assert site.platform.fetches == 2


async def test_unknown_keys_cause_one_fetch_a_minute(site: Site, clock: ManualClock) -> None:
    assert await launched(site, clock) == "in"
    for number in range(5):
        assert await launched(site, clock, kid=f"made-up-{number}") == "LTI_KID_UNKNOWN"
    assert site.platform.fetches == 2
    clock.advance(61)
    assert await launched(site, clock, kid="made-up") == "LTI_KID_UNKNOWN"
    assert site.platform.fetches == 3
    assert await launched(site, clock) == "in"


async def test_a_withdrawn_key_is_refused_once_the_set_is_fetched_anew(site: Site, clock: ManualClock) -> None:
    assert await launched(site, clock) == "in"
    old = site.platform.kid
    key = site.platform.keys[old]
    site.platform.rotate()
    assert await launched(site, clock) == "in"
    site.platform.keys[old] = key
    kept, site.platform.kid = site.platform.kid, old
    site.platform.keyset_answer = JSONResponse(
        {"keys": [{**site.platform.keys[kept].as_dict(private=False), "kid": kept}]}
    )
    assert await launched(site, clock) == "LTI_KID_UNKNOWN"


async def test_an_old_set_serves_while_it_is_fetched_anew(site: Site, clock: ManualClock) -> None:
    assert await launched(site, clock) == "in"
    clock.advance(site.lti.settings.keyset_seconds + 1)
    site.platform.keyset_answer = Response(status_code=500)
    assert await launched(site, clock) == "in"
    async with asyncio.timeout(10):
        while site.platform.fetches < 2:  # noqa: ASYNC110 - the platform counts, and tells nobody
            await asyncio.sleep(0.01)
    assert await launched(site, clock) == "in"
    clock.advance(STALE_SECONDS)
    assert await launched(site, clock) == "LTI_KEYSET_UNAVAILABLE"


ANSWERS: dict[str, Response] = {
    "an error": Response(status_code=500),
    "no JSON": Response("<html>"),
    "a list": JSONResponse([]),
    "no keys": JSONResponse({"keys": None}),
    "another host": Response(status_code=302, headers={"Location": "http://localhost:1/jwks"}),
    "too much": Response(b" " * 300_000),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_a_set_that_cannot_be_used_lets_nobody_in(site: Site, clock: ManualClock, case: str) -> None:
    site.platform.keyset_answer = ANSWERS[case]
    assert await launched(site, clock) == "LTI_KEYSET_UNAVAILABLE"
    site.platform.keyset_answer = None
    assert await launched(site, clock) == "LTI_KEYSET_UNAVAILABLE"
    assert site.platform.fetches == 1
    clock.advance(RETRY_SECONDS)
    assert await launched(site, clock) == "in"


async def test_an_unavailable_set_is_a_503_that_says_when_to_come_again(site: Site, clock: ManualClock) -> None:
    site.platform.keyset_answer = Response(status_code=500)
    started = await site.start()
    now = int(clock.now())
    token = site.platform.sign(site.platform.claims(started.nonce, TARGET, iat=now, exp=now + 60))
    answer = await site.post(started.state, token, started.cookie)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_set_that_is_given_itself_is_never_fetched(site: Site, clock: ManualClock) -> None:
    published = json.dumps({"keys": [
        {**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in site.platform.keys.items()
    ]})  # fmt: skip
    held = HELD + base64.b64encode(published.encode()).decode()
    (known,) = await site.lti.platforms.all()
    draft = Draft(
        issuer=known.issuer, client_id=known.client_id, auth_url=known.auth_url, token_url=known.token_url,
        keyset_url=held,
    )  # fmt: skip
    changed = (await site.lti.platforms.add(draft)).platform
    assert await launched(site, clock) == "in"
    assert await launched(site, clock, kid="made-up") == "LTI_KID_UNKNOWN"
    clock.advance(STALE_SECONDS + 1)
    assert await launched(site, clock) == "in"
    assert site.platform.fetches == 0
    findings = await site.lti.diagnosis.examine(changed, [changed])
    assert "The key set at the registration holds 1 usable key." in [finding.text for finding in findings]


async def test_a_weak_key_is_refused(site: Site, clock: ManualClock) -> None:
    with pytest.warns(SecurityWarning, match="2048"):
        weak = RSAKey.generate_key(1024)
    site.platform.keyset_answer = JSONResponse({"keys": [{**weak.as_dict(private=False), "kid": site.platform.kid}]})
    assert await launched(site, clock) == "LTI_KEY_WEAK"


async def test_keys_of_other_kinds_are_passed_over(site: Site, clock: ManualClock) -> None:
    good = {**site.platform.keys[site.platform.kid].as_dict(private=False), "kid": site.platform.kid}
    others = [
        1,
        {},
        {"kty": "EC", "kid": "e"},
        {"kty": "RSA", "kid": "r"},
        {"kty": "RSA", "kid": 1},
        {**good, "kid": "x", "use": "enc"},
    ]
    site.platform.keyset_answer = JSONResponse({"keys": [*others, good]})
    assert await launched(site, clock) == "in"
    assert await launched(site, clock, kid="x") == "LTI_KID_UNKNOWN"
