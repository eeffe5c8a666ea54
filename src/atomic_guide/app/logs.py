"""Logging: one JSON object a line on stderr, or readable lines on a terminal.

Our own events and those of libraries come out in one form, each under the id of the request it belongs to. Events
are named with fixed words and carry facts as fields; nothing personal is ever a field.
"""

from __future__ import annotations

import logging
import sys

import msgspec
import structlog
from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer, format_exc_info
from structlog.typing import EventDict, Processor

from atomic_guide import tracing
from atomic_guide.config import LogSettings

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logs(settings: LogSettings) -> None:
    """Configure logging for this process."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    level = LEVELS[settings.level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_span,
    ]
    if as_json:
        # Bytes, written and flushed in one call: half the time of text through print.
        structlog.configure(
            processors=[*shared, format_exc_info, JSONRenderer(serializer=_encode)],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, ConsoleRenderer(colors=sys.stderr.isatty())],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.WriteLoggerFactory(sys.stderr),
            cache_logger_on_first_use=True,
        )
    _join_libraries(shared, as_json=as_json, level=level)


def logs_requests(settings: LogSettings) -> bool:
    """Whether each request is logged: as the settings say, else where no person watches."""
    return settings.requests if settings.requests is not None else not sys.stderr.isatty()


def _name_span(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Say in which trace and span something was logged."""
    if (ids := tracing.ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def _join_libraries(shared: list[Processor], *, as_json: bool, level: int) -> None:
    """Let the standard library's loggers come out in the same form."""
    ending: list[Processor] = (
        [format_exc_info, JSONRenderer(serializer=lambda event, **_: _encode(event).decode())]
        if as_json
        else [ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    # From warnings on: httpx, for one, names whole addresses with their query strings at info.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def _encode(event: object, **_: object) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)
