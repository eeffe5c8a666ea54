"""Connections that do not behave: heads without an end, heads that do not come, what is no HTTP."""

import asyncio
import json
import select
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from atomic_guide.app.connection import BoundedConnection

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"


class _Impatient(BoundedConnection):
    head_seconds = 0.2
    taken_seconds = 0.3


async def _endless(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 256 * 1024

    return StreamingResponse(parts())


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _large(_request: Request) -> Response:
    return Response(b"HTTP/1.1 " * 40_000)


async def _late(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.3)
        yield b"late"

    return StreamingResponse(pieces())


@pytest.fixture(params=[BoundedConnection])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    app = Starlette(
        routes=[
            Route("/", _echo, methods=["GET", "POST"]),
            Route("/large", _large),
            Route("/late", _late),
            Route("/endless", _endless),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, http=request.param, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await asyncio.wait_for(serving, 20)


async def _said(port: int, *pieces: bytes) -> bytes:
    """Everything that the server answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [GET, *[b"X-More: " + b"y" * 1000 + b"\r\n"] * 2000],
        [GET, *[b"X:\r\n" * 1000] * 20, b"\r\n"],
        [GET, b"X-One: ", *[b"y" * 10_000] * 200],
        [b"GET /", *[b"y" * 10_000] * 200],
        [
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            *[b"X-Trailer: " + b"y" * 1000 + b"\r\n"] * 2000,
        ],
    ],
    ids=["lines", "short lines", "one line", "address", "trailers"],
)
async def test_a_head_without_end_is_cut_off(port: int, pieces: list[bytes]) -> None:
    answer = await _said(port, *pieces)
    # The rest that is on its way may reset the connection before its answer is read.
    assert not answer or answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")), answer[:200]


async def test_a_head_too_endless_is_refused_in_the_usual_shape(port: int) -> None:
    head, _, body = (await _said(port, GET, b"X-One: " + b"y" * BoundedConnection.head_bytes + b"\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["error"]["code"] == "TOO_LARGE"


async def test_what_is_no_http_is_refused_in_the_usual_shape(port: int) -> None:
    head, _, body = (await _said(port, b"GARBAGE\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "VALIDATION_ERROR"


async def test_a_body_may_be_endlessr_than_a_head(port: int) -> None:
    size = 4 * BoundedConnection.head_bytes
    post = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    assert (await _said(port, post, b"z" * size)).endswith(b"\r\n\r\n%d" % size)


@pytest.mark.parametrize("port", [_Impatient], indirect=True)
@pytest.mark.parametrize("begun", [b"", GET, GET + b"\r\n" + GET], ids=["nothing", "half a head", "half a second one"])
async def test_a_head_that_does_not_come_ends_the_connection(port: int, begun: bytes) -> None:
    answer = await _said(port, begun)
    assert answer.count(b"HTTP/1.1 200 ") == begun.count(b"\r\n\r\n")


async def test_an_answer_goes_out_in_one_piece(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            for _ in range(20):
                await loop.sock_sendall(client, GET + b"\r\n")
                assert (await loop.sock_recv(client, 65536)).endswith(b"\r\n\r\n0")


async def test_a_head_without_a_body_yet_does_not_wait_for_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /late HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(20):
        assert (await reader.read(65536)).endswith(b"\r\n\r\n")
        assert await reader.read() == b"4\r\nlate\r\n0\r\n\r\n"
    writer.close()


async def test_answers_one_after_another_keep_their_order(port: int) -> None:
    asked = [b"HEAD /large HTTP/1.1\r\nHost: here\r\n\r\n", b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n", GET + b"\r\n"]
    answer = await _said(port, b"".join(asked), GET, b"Connection: close\r\n\r\n")
    heads = answer.replace(b"HTTP/1.1 " * 40_000, b"LARGE").split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [head.partition(b"\r\n\r\n")[2] for head in heads] == [b"", b"LARGE", b"0", b"0"]


@pytest.mark.parametrize("port", [_Impatient], indirect=True)
async def test_a_reader_that_takes_nothing_loses_its_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as reader:
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
        reset = select.poll()
        reset.register(reader, 0)
        async with asyncio.timeout(20):
            # Nothing is read, so what ends this is the server's reset alone.
            while not reset.poll(0):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.01)
