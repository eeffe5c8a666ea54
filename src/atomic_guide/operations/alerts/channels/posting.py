"""Posting JSON to an address of the settings: bounded in time and size, and nowhere else.

Only what an operator has written into the settings is called. A redirect is not followed and no proxy of the
environment is used, so that neither a receiver nor a variable sends a message elsewhere; certificates are verified; of
an answer at most some kilobytes are read. Errors never repeat the address, which may be a secret, nor what it answered.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import httpx

from atomic_guide.errors import MachineTrouble, Permanent, RetryLater

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MOST_BYTES = 16 * 1024
_LONGEST_DELAY = 300.0
_AGAIN = {408, 425, 429}
_SECONDS = re.compile(r"[0-9]{1,9}")
_FIRST_REDIRECT, _FIRST_REFUSAL, _FIRST_FAILURE = 300, 400, 500


class Poster:
    """Posts to one address, on a connection of its own each time: hours lie between two messages."""

    def __init__(self, url: str, seconds: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._seconds = seconds
        self._transport = transport

    async def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when it was answered with 2xx. Raises `RetryLater`, `MachineTrouble` or `Permanent`."""
        sent = {
            "Content-Type": "application/json",
            "User-Agent": "atomic-guide",
            "Accept-Encoding": "identity",
            **headers,
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(
                    timeout=self._seconds, follow_redirects=False, trust_env=False, transport=self._transport
                ) as client,
                client.stream("POST", self._url, content=body, headers=sent) as answer,
            ):
                # As it came: some kilobytes of what is packed may be some hundred megabytes.
                await _read(answer.aiter_raw())
                _check(answer.status_code, answer.headers.get("retry-after", ""))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RetryLater(f"the receiver did not answer within {self._seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise MachineTrouble(f"the receiver cannot be reached ({type(error).__name__})") from error


async def _read(parts: AsyncIterator[bytes]) -> None:
    """Take an answer to its end, or to where it becomes too long: what it says does not matter."""
    size = 0
    async for part in parts:
        size += len(part)
        if size > _MOST_BYTES:
            return


def _check(status: int, retry_after: str) -> None:
    if status < _FIRST_REDIRECT:
        return
    said = f"the receiver answered with {status}"
    if status < _FIRST_REFUSAL:
        raise Permanent(f"{said}, which leads elsewhere; set the address where that ends")
    if status in _AGAIN or status >= _FIRST_FAILURE:
        delay = min(float(retry_after), _LONGEST_DELAY) if _SECONDS.fullmatch(retry_after) else None
        raise RetryLater(said, delay)
    raise Permanent(said)
