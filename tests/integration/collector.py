"""A receiver of OTLP over HTTP, in the process of the test."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Received(NamedTuple):
    """A span as it came."""

    trace: str
    id: str
    parent: str
    name: str
    process: str
    failed: bool
    attributes: dict[str, str]


class Collector:
    """What was received; `status` is how it answers, `token` what it was last given."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.status = 200
        self.token: str | None = None
        self.url = ""

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for span in [span for scope in resource.scope_spans for span in scope.spans]:
                named = {pair.key: _text(pair.value) for pair in span.attributes}
                names = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name)
                self.spans.append(Received(*names, about["service.instance.id"], span.status.code == 2, named))

    def of(self, trace: str) -> list[Received]:
        """The spans of a trace."""
        return [span for span in list(self.spans) if span.trace == trace]

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait for spans to come."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, sorted({span.name for span in self.spans})
            time.sleep(0.05)


def _text(value: object) -> str:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    return str(getattr(value, kind))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of loopback."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.token = self.headers["Authorization"]
            if found.status == 200:
                found.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(found.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
