"""Posting to a real receiver: what each answer means, and that nothing else is called."""

import asyncio
import socket

import pytest

from atomic_guide.errors import MachineTrouble, Permanent, RetryLater
from atomic_guide.operations.alerts.channels.posting import Poster
from tests.webhooks import receiver


@pytest.mark.parametrize(
    ("status", "headers", "error", "delay"),
    [
        (500, {}, RetryLater, None),
        (503, {"retry-after": "7"}, RetryLater, 7.0),
        (503, {"retry-after": "999999"}, RetryLater, 300.0),
        (429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, RetryLater, None),
        (503, {"retry-after": "\u00b2"}, RetryLater, None),
        (503, {"retry-after": "9" * 5000}, RetryLater, None),
        (408, {}, RetryLater, None),
        (400, {}, Permanent, None),
        (404, {}, Permanent, None),
        (410, {}, Permanent, None),
    ],
)
async def test_an_answer_says_whether_to_try_again(
    status: int, headers: dict[str, str], error: type[Exception], delay: float | None
) -> None:
    with receiver() as came:
        came.answers = [(status, headers)]
        with pytest.raises(error, match=str(status)) as failed:
            await Poster(came.url, 5).post(b"{}", {})
    assert getattr(failed.value, "delay", None) == delay
    assert came.url not in str(failed.value), "an address may be a secret"


async def test_an_answer_is_not_unpacked() -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        # Whoever unpacks this finds that it is broken; what is whole may be a thousand times as large as it comes.
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await Poster(f"http://127.0.0.1:{port}", 5).post(b"{}", {})
    assert b"accept-encoding: identity" in heard[0].lower()


async def test_a_redirect_is_not_followed() -> None:
    with receiver() as elsewhere, receiver() as came:
        came.answers = [(307, {"location": f"{elsewhere.url}/inside"})]
        with pytest.raises(Permanent, match="leads elsewhere"):
            await Poster(came.url, 5).post(b"{}", {})
    assert elsewhere.received == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as came:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await Poster(came.url, 5).post(b"{}", {})
    assert (len(proxy.received), len(came.received)) == (0, 1)


async def test_a_receiver_that_hangs_or_is_away_costs_its_limit_only() -> None:
    with receiver() as came:
        came.hangs = 1.0
        with pytest.raises(RetryLater, match=r"within 0\.2 s"):
            await Poster(came.url, 0.2).post(b"{}", {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MachineTrouble, match="cannot be reached"):
            await Poster(f"http://127.0.0.1:{taken.getsockname()[1]}", 2).post(b"{}", {})
