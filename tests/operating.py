"""Operators of a tool that a test has put together itself, and browsers with their sessions."""

from __future__ import annotations

from typing import Any

import httpx

from atomic_guide.app.operators import made_operators
from atomic_guide.clock import Clock
from atomic_guide.config import Settings
from atomic_guide.engines.data.database import Database
from atomic_guide.operations.operators.settings import OperatorSettings
from atomic_guide.web.operators import Operators

TOKEN = "operator-token-for-tests"


def operators(directory: Database, clock: Clock, url: str = "https://guide.test", **settings: Any) -> Operators:
    """The operators of a tool over a directory, with the token of tests; a provider may stand on this computer."""
    chosen = Settings(operators=OperatorSettings(**settings))
    return made_operators(chosen, directory, clock, TOKEN, (url, True))


def acting(client: httpx.AsyncClient | httpx.Client) -> dict[str, str]:
    """The headers with which a browser's console acts."""
    url = client.base_url
    port = f":{url.port}" if url.port else ""
    return {"Atomic-Guide-Console": "1", "Origin": f"{url.scheme}://{url.host}{port}"}
