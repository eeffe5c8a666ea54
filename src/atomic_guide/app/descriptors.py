"""How many files and sockets a process may have open."""

from __future__ import annotations

import contextlib
import resource

import structlog

_log = structlog.get_logger(__name__)

_MOST = 1 << 20
"""Asked for where the system sets no bound: more than any process uses, and what Linux takes without privileges."""

FEW = 4096
"""Below this a laptop's few hundred people, with what is open beside their sockets, may not find room."""

_OWN = 500
"""Files that a process has open beside its sockets: databases, their journals, uploads, programs."""


def raise_descriptors(sockets: int) -> None:
    """Take as many as the system gives, often 1,024 at first.

    Warn where those are few and do not suffice for `sockets`; where only the most sockets of all would not find room,
    which is usual and mostly never felt, `doctor` says so.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed < FEW and lacking(allowed, sockets):
        _log.warning(
            "too few open files are allowed for all sockets; raise LimitNOFILE, or lower rooms.process_sockets",
            open_files=allowed,
            wanted=sockets + _OWN,
        )


def lacking(allowed: int, sockets: int) -> int:
    """How many open files are missing for that many sockets and what a process has beside them; 0 where none are."""
    return 0 if allowed == resource.RLIM_INFINITY else max(sockets + _OWN - allowed, 0)


def most_allowed() -> int:
    """What a process may raise its open files to."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
