"""A receiver of webhooks on loopback that keeps what it gets and answers as it is told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """One message as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """`answers` are the statuses to come (with headers), one a message, 204 after them. `hangs` is in seconds."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.hangs = 0.0
        self.url = ""

    def until(
        self, count: int, seconds: float, *, of: Callable[[Received], bool] = lambda _one: True
    ) -> list[Received]:
        """Wait for so many messages (of a kind)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [one for one in self.received if of(one)]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        message = f"{len(self.received)} messages came: {[one.body[:200] for one in self.received]}"
        raise AssertionError(message)


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if kept.hangs:
                time.sleep(kept.hangs)
            status, headers = kept.answers.pop(0) if kept.answers else (204, {})
            if status < 300:
                kept.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
