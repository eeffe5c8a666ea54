"""Spans over OpenTelemetry, sent by OTLP over HTTP: the one module that knows the library.

Guarantees: a span that is recorded waits in a bounded queue, and what does not fit is dropped and counted; sending is
a thread's work and holds nothing up; a collector that is away costs its spans, and nothing else; at the end of the
process what waits is sent within a bounded time. It is imported only where `tracing.endpoint` is set.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from atomic_guide import tracing
from atomic_guide.errors import ConfigurationError
from atomic_guide.limit import Used

try:
    from opentelemetry import context as contexts
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
    from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, get_current_span, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ConfigurationError(
        "setting tracing.endpoint: OpenTelemetry is not installed; pip install 'atomic-guide[tracing]', or leave the"
        " setting out"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.tracing import Kind, TracingSettings, Value

_log = structlog.get_logger(__name__)

_BATCH = 512
"""Spans that are sent at once: about 200 kB."""

_WAIT_SECONDS = 2.0
"""How long fewer wait for more."""

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_carrier = TraceContextTextMapPropagator()


class Outgoing(SpanProcessor):  # type: ignore[misc] # an extra, unknown to whoever has not installed it
    """The bounded queue of spans and the thread that sends them."""

    def __init__(self, exporter: SpanExporter, limit: int, timeout: float) -> None:
        self.sent = self.failed = self.dropped = 0
        self._exporter = exporter
        self._limit = limit
        self._timeout = timeout
        self._waiting: deque[ReadableSpan] = deque()
        self._enough = threading.Event()
        self._ending = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended; from any thread."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            tracing.SPANS.refused += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= _BATCH:
            self._enough.set()

    def shutdown(self) -> None:
        """Send what waits, within the time limit; what is left is lost."""
        self._ending = True
        self._enough.set()
        self._thread.join(self._timeout)
        self._exporter.shutdown()

    def used(self) -> Iterator[Used]:
        """How many wait."""
        yield Used(tracing.SPANS, len(self._waiting))

    def _run(self) -> None:
        while not self._ending:
            self._enough.wait(_WAIT_SECONDS)
            self._enough.clear()
            self._send(None)
        self._send(time.monotonic() + self._timeout)

    def _send(self, until: float | None) -> None:
        while self._waiting and (until is None or time.monotonic() < until):
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                sent = self._exporter.export(batch) is SpanExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001 - whatever it is, spans are not worth the process
                _log.debug("spans were not sent", error=repr(error))
                sent = False
            if sent:
                self.sent += len(batch)
            else:
                self.failed += len(batch)
            if self._failing != (not sent):
                self._failing = not sent
                _log.warning("traces are lost: they cannot be sent" if self._failing else "traces are sent again")


class _Recorded:
    """A span of OpenTelemetry, current within its block."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Self:
        self._token = contexts.attach(set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        contexts.detach(self._token)
        if kind is not None and issubclass(kind, Exception):
            # Without the error's text, which may quote what somebody sent.
            self._span.set_attribute("error.type", kind.__name__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, **attributes: Value) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(name.replace("__", "."), value)

    def fail(self) -> None:
        self._span.set_status(StatusCode.ERROR)


class Recorder:
    """The backend: spans of this process under one service and instance."""

    def __init__(self, settings: TracingSettings, process: str, role: str) -> None:
        # It tells of each attempt; we tell once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else None
        exporter = OTLPSpanExporter(endpoint=settings.endpoint, headers=headers, timeout=settings.timeout_seconds)
        self.outgoing = Outgoing(exporter, settings.queue_limit, settings.timeout_seconds)
        resource = Resource({
            "service.name": settings.service_name,
            "service.instance.id": process,
            "atomic_guide.role": role,
        })  # fmt: skip
        # By the trace's id alone: whoever calls us chooses no more traces than we want, and all processes agree.
        sampler = TraceIdRatioBased(settings.sample_ratio)
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self.outgoing)
        self._tracer = self._provider.get_tracer("atomic_guide")

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: dict[str, Value]) -> _Recorded:
        """A span; see `tracing.Backend`."""
        context = None if parent is None else set_span_in_context(INVALID_SPAN)
        if parent:
            context = _carrier.extract({"traceparent": parent}, context)
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        return _Recorded(self._tracer.start_span(name, context, _KINDS[kind], named))

    def recording(self) -> bool:
        """Whether the span around the caller goes on and is recorded."""
        return bool(get_current_span().is_recording())

    def carried(self) -> str | None:
        """The span around the caller as a traceparent."""
        found = get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

    def end(self) -> None:
        """Send what waits, within the time limit of the settings."""
        self._provider.shutdown()
