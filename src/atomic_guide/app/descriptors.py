"""How many files and sockets a process may have open."""

from __future__ import annotations

import contextlib
import resource

import structlog

_log = structlog.get_logger(__name__)

_MOST = 1 << 20
"""Asked for where the system sets no bound: more than any process uses, and what Linux takes without privileges."""

_OWN = 500
"""Files that a process has open beside its sockets: databases, their journals, uploads, programs."""


def raise_descriptors(sockets: int) -> None:
    """Take as many as the system gives, often 1,024 at first; say so where they do not suffice for `sockets`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and allowed < sockets + _OWN:
        _log.warning(
            "too few open files are allowed for all sockets; raise LimitNOFILE, or lower rooms.process_sockets",
            open_files=allowed,
            wanted=sockets + _OWN,
        )
