"""Upload two gigabytes to a real server, as a form and resumably, and watch its memory.

    python -m bench.upload [--bytes 2147483648]

Prints the rate and by how much the server's resident memory grew at its highest. What is sent is an MP4 header
followed by zeros: the server stores it all, then finds out that there is no lecture in it.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.running import RunningServer, running_server

MEBIBYTE = 1024 * 1024
HEAD = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\0mdat"
PATCH_BYTES = 256 * MEBIBYTE
GROWTH_LIMIT = 64 * MEBIBYTE
BLOCK = bytes(MEBIBYTE)


async def content(size: int, *, head: bytes = b"") -> AsyncIterator[bytes]:
    """`size` bytes that begin with `head`."""
    yield head
    left = size - len(head)
    while left > 0:
        yield BLOCK[:left]
        left -= MEBIBYTE


async def form(size: int) -> AsyncIterator[bytes]:
    """A form with one file."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    async for part in content(size, head=HEAD):
        yield part
    yield b"\r\n--x--\r\n"


async def send_form(client: httpx.AsyncClient, size: int) -> None:
    """One request."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post("/api/video/upload", content=form(size), headers=kind)
    assert answer.status_code == 202, answer.text


async def send_resumably(client: httpx.AsyncClient, size: int) -> None:
    """tus, in requests of 256 MiB."""
    tus = {"Tus-Resumable": "1.0.0"}
    answer = await client.post("/api/video/upload", headers={**tus, "Upload-Length": str(size)})
    assert answer.status_code == 201, answer.text
    for offset in range(0, size, PATCH_BYTES):
        part = content(min(PATCH_BYTES, size - offset), head=b"" if offset else HEAD)
        kind = {**tus, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        patched = await client.patch(answer.headers["Location"], content=part, headers=kind)
        assert patched.status_code == 204, patched.text


def resident(server: RunningServer) -> int:
    """The server's resident memory in bytes."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


async def measure(server: RunningServer, headers: dict[str, str], name: str, size: int) -> None:
    """Send once, looking at the server's memory every 50 ms."""
    before, peak = resident(server), 0
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=600) as client:
        began = time.perf_counter()
        send = {"form": send_form, "tus": send_resumably}[name]
        sending = asyncio.create_task(send(client, size))
        while not sending.done():
            peak = max(peak, resident(server))
            await asyncio.wait([sending], timeout=0.05)
        await sending
        seconds = time.perf_counter() - began
    rate, growth = size / MEBIBYTE / seconds, (peak - before) / MEBIBYTE
    print(
        f"{name:5} {size / MEBIBYTE:6.0f} MiB in {seconds:5.1f} s, {rate:5.0f} MiB/s, memory grew by {growth:5.1f} MiB"
    )
    assert peak - before < GROWTH_LIMIT


def main() -> None:
    """Both ways, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=2 * 1024**3)
    size = parser.parse_args().bytes
    folder = Path(tempfile.mkdtemp(prefix="atomic-guide-upload-"))
    try:
        # The limit is 2 GiB for the file; a form adds its own lines to the request.
        with running_server(folder / "data") as server:
            for name in ("form", "tus"):
                with server.enter("prof", "instructor", name) as entered:
                    headers = {"Authorization": entered.headers["Authorization"]}
                asyncio.run(measure(server, headers, name, size))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
