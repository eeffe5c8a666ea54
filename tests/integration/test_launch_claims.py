"""Whatever a platform signs, and whatever a browser posts, the answer is a page, never a fault of ours."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.platform import FakePlatform, fake_platform
from tests.fakes.site import TARGET, Site, code_of, error_of, launch_site

Run = Callable[[Callable[[Site], Coroutine[Any, Any, None]]], None]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted(FakePlatform().claims("nonce", TARGET))
CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a test's coroutine against one site that all examples share."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        opened: dict[str, Any] = {}

        async def open_site() -> None:
            opened["platform"] = fake_platform()
            platform = await opened["platform"].__aenter__()
            opened["manager"] = launch_site(Path(folder), platform, logins_per_minute=1_000_000)
            opened["site"] = await opened["manager"].__aenter__()

        async def close_site() -> None:
            await opened["manager"].__aexit__(None, None, None)
            await opened["platform"].__aexit__(None, None, None)

        runner.run(open_site())
        yield lambda work: runner.run(work(opened["site"]))
        runner.run(close_site())


@CALM
@given(changes=st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1, max_size=3))
def test_any_claims_are_let_in_or_refused(run: Run, changes: dict[str, Any]) -> None:
    async def attempt(site: Site) -> None:
        started = await site.start()
        token = site.platform.sign(site.platform.claims(started.nonce, TARGET) | changes)
        answer = await site.post(started.state, token, started.cookie)
        assert answer.status_code in {200, 400, 403}, answer.text
        assert bool(code_of(answer)) != bool(error_of(answer))

    run(attempt)


@CALM
@given(state=st.text(max_size=50), token=st.text(max_size=200), cookie=st.sampled_from(["", "__Host-ag-x=y"]))
def test_any_post_is_refused(run: Run, state: str, token: str, cookie: str) -> None:
    async def attempt(site: Site) -> None:
        started = await site.start()
        sent = token.encode("utf-8", "replace").decode()
        for known in (state.encode("utf-8", "replace").decode(), started.state):
            answer = await site.post(known, sent, cookie)
            assert 400 <= answer.status_code < 500
            assert error_of(answer)

    run(attempt)


@CALM
@given(
    changes=st.dictionaries(
        st.sampled_from(
            ["iss", "client_id", "login_hint", "target_link_uri", "lti_storage_target", "lti_message_hint"]
        ),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace").decode()),
        min_size=1,
    )
)
def test_any_login_request_is_taken_or_refused(run: Run, changes: dict[str, str]) -> None:
    async def attempt(site: Site) -> None:
        answer = (await site.start(**changes)).answer
        assert answer.status_code in {200, 302, 400, 403}
        assert "\n" not in answer.headers.get("location", "")

    run(attempt)
