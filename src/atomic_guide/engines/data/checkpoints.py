"""Bringing a file's WAL back into it beside its writer.

SQLite does that in the commit that passes the limit, which then waits for the disk twice more: one message in a
hundred, with 20 a second, took 37 ms to the last of 1,000 members in place of 13. Here a thread does it, which no
writer waits for (a PASSIVE checkpoint). Under a stream of writes it never gets to the WAL's end, so that the writer's
own limit stays, ten times as high.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

WORKS = 1000
"""Works between two checkpoints: 12 MB where each is a message, and at 20 messages a second one in 50 s."""

PAUSE_SECONDS = 0.5
"""The least time from one to the next, however much is written."""

LIMIT_PAGES = 10_000
"""Pages at which a commit does it all the same: 40 MB."""

_CLOSE_SECONDS = 10.0


class Checkpoints:
    """The checkpoints of one file; `bring` makes one and says whether the whole WAL is back.

    `note` belongs to the writer's thread.
    """

    def __init__(self, name: str, bring: Callable[[], bool]) -> None:
        self._name = name
        self._bring = bring
        self._works = self._total = 0
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, works: int) -> None:
        """So many works were committed."""
        self._works += works
        self._total += works
        if self._works >= WORKS:
            self._works = 0
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"checkpoints-{self._name}", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Do no more of them. What is left in the WAL the last connection brings back when it closes."""
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._closed.is_set():
                return
            self._wanted.clear()
            before = self._total
            try:
                whole = self._bring()
            except Exception as error:  # noqa: BLE001 - logged; the next one tries again
                _log.warning("a checkpoint failed", database=self._name, error=repr(error))
            else:
                if not whole or self._total > before:
                    # Something was written meanwhile, or is being read; the WAL starts anew only once all is back.
                    self._wanted.set()
            self._closed.wait(PAUSE_SECONDS)
