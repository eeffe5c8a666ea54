"""Launches as an LMS and a browser see them: who gets in, who does not and why."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

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


def refused(answer: httpx.Response, code: str) -> None:
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
