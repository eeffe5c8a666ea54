"""What `atomic-guide doctor` says of traces: whether they can be sent, and whether the collector is there."""

from __future__ import annotations

import importlib.util
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from atomic_guide.tracing import TracingSettings

_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}


def look_at_traces(settings: TracingSettings) -> tuple[str, str]:
    """How traces are, and what to do; the second is empty where they are well."""
    if settings.endpoint is None:
        return "", ""
    if importlib.util.find_spec("opentelemetry") is None:
        return "OpenTelemetry is not installed", "pip install 'atomic-guide[tracing]', or leave tracing.endpoint out"
    url = urlsplit(settings.endpoint)
    where = f"{url.hostname}:{url.port or _PORTS[url.scheme]}"
    try:
        socket.create_connection((url.hostname or "", url.port or _PORTS[url.scheme]), _SECONDS).close()
    except OSError as error:
        text = f"the collector at {where} does not answer ({error.strerror or type(error).__name__})"
        return text, "start it, or correct tracing.endpoint; traces are lost meanwhile, and nothing else"
    return f"the collector at {where} answers; {settings.sample_ratio:.0%} of traces are recorded", ""
