"""Spans: what a request, a job or a tick did and how long each part took, joined over processes into one trace.

A thin layer that every part may use, also in another program: it knows no library. Without a backend, as it is unless
`tracing.endpoint` is set, `span` is a function that gives one object again and again; 0.1 us, measured. The backend
over OpenTelemetry is app/telemetry.py.

    with tracing.span("scaling tick", fleets=2):
        ...

Names are few: routes, kinds of jobs, never ids. Attributes hold nothing personal: no address, user, token, path or
query string, and no text of an error. Two underscores in an attribute's name stand for a dot.
"""

from __future__ import annotations

from types import TracebackType
from typing import Annotated, Literal, Protocol, Self

import msgspec

from atomic_guide.limit import Limit
from atomic_guide.setting import setting

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool

ROOT = ""
"""As a parent: none, whatever is going on around it."""

SPANS = Limit(
    "tracing",
    "trace_spans",
    "spans",
    "tracing.queue_limit",
    refuses="The span, which is in no trace then.",
    answer="drops",
    use="Spans that wait to be sent.",
)
LIMITS = (SPANS,)


class TracingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where traces are sent, and how many."""

    endpoint: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/@]+(/[^\s]*)?$")] | None,
        setting(
            "Where spans are sent by OTLP over HTTP, such as http://collector:4318/v1/traces, without a password in it"
            " (there is `token`); takes the extra `tracing`. None: nothing is traced.",
            "URL",
        ),
    ] = None
    token: Annotated[
        Annotated[str, msgspec.Meta(min_length=8)] | None,
        setting("The bearer token for it.", "secret"),
    ] = None
    sample_ratio: Annotated[
        float,
        setting(
            "Share of the traces that are recorded, chosen by their ids, so that all processes choose the same.",
            "share",
            ge=0,
            le=1,
        ),
    ] = 0.1
    service_name: Annotated[
        str, setting("What the service is called in traces.", "name", min_length=1, max_length=100)
    ] = "atomic-guide"
    queue_limit: Annotated[
        int,
        setting("Spans of a process that wait to be sent, about 2 kB each; the next are dropped and counted.", "spans",
                ge=16, le=1_000_000),
    ] = 4096  # fmt: skip
    timeout_seconds: Annotated[
        float, setting("How long sending some of them may take, and all that are left at the end.", "s", ge=0.1, le=10)
    ] = 5.0


class Span(Protocol):
    """A span under way; it ends with its block, as failed where that raises."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def rename(self, name: str) -> None:
        """Call it otherwise, now that more is known."""
        ...

    def set(self, **attributes: Value) -> None:
        """Add attributes."""
        ...

    def fail(self) -> None:
        """What it was about has failed, though nothing was raised."""
        ...


class Backend(Protocol):
    """What records spans."""

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: dict[str, Value]) -> Span:
        """A span below the one around it (None), below a carried one, or below none (`ROOT`)."""
        ...

    def recording(self) -> bool:
        """Whether the span around the caller goes on and is recorded."""
        ...

    def carried(self) -> str | None:
        """The span around the caller as a W3C traceparent, to go on from elsewhere; None where there is none."""
        ...


class _Nothing:
    """The span that is given where nothing is traced."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rename(self, name: str) -> None:
        """Do nothing."""

    def set(self, **attributes: Value) -> None:
        """Do nothing."""

    def fail(self) -> None:
        """Do nothing."""


NOTHING: Span = _Nothing()

_backend: Backend | None = None


def use(backend: Backend | None) -> None:
    """Record spans in a backend from now on, or no more."""
    global _backend  # noqa: PLW0603 - one for the process, as the log is
    _backend = backend


def active() -> bool:
    """Whether anything is recorded."""
    return _backend is not None


def span(name: str, kind: Kind = "internal", parent: str | None = None, **attributes: Value) -> Span:
    """A span for the length of a `with` block."""
    backend = _backend
    return NOTHING if backend is None else backend.begin(name, kind, parent, attributes)


def within(name: str, kind: Kind = "internal", **attributes: Value) -> Span:
    """A span below one that is recorded, and none elsewhere: for what is done often, and by many."""
    backend = _backend
    return NOTHING if backend is None or not backend.recording() else backend.begin(name, kind, None, attributes)


def carried() -> str | None:
    """The span around the caller, for a job's row or a header; see `Backend.carried`."""
    backend = _backend
    return None if backend is None else backend.carried()


def ids() -> tuple[str, str] | None:
    """The trace and the span around the caller, in hexadecimal; None where there is none."""
    text = carried()
    return (text[3:35], text[36:52]) if text is not None else None
