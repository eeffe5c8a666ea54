"""The report of a process about itself, made from what each component's file tells."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from typing import TYPE_CHECKING

import structlog

from atomic_guide.errors import GuideError
from atomic_guide.operations.scaling.reports import REPORT_SECONDS, Report, Reports, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.reports import Tell


_log = structlog.get_logger(__name__)

_END_SECONDS = 2.0
"""How long a drain waits for that; the row is pruned later otherwise."""


def process_name(port: int, child: str) -> str:
    """What a process is called in reports: the same after it has started again, and another on every machine."""
    return f"{socket.gethostname()}:{port}/{child}"


class Reporter:
    """Writes the reports of one process."""

    def __init__(self, reports: Reports, process: str, role: str, tells: Sequence[Tell], clock: Clock) -> None:
        self.process = process
        self._reports = reports
        self._role = role
        self._tells = tuple(tells)
        self._clock = clock
        self._life = secrets.token_hex(4)
        self._began = clock.monotonic()
        self._ended = False

    def made(self) -> Report:
        """The report of now."""
        told = joined(tell() for tell in self._tells)
        return Report(
            self.process,
            self._role,
            self._life,
            self._clock.now(),
            self._clock.monotonic() - self._began,
            dict(told.counters),
            dict(told.gauges),
            dict(told.durations),
            dict(told.listed),
        )

    async def run(self) -> None:
        """Report until `end`; what fails is tried again next time."""
        while not self._ended:
            try:
                async with asyncio.timeout(REPORT_SECONDS):
                    await self._reports.write(self.made())
            except Exception as error:  # noqa: BLE001 - what only looks on must not end the server
                _log.warning("this process's report was not written", error=repr(error))
            # Apart from those of others, which started at the same moment.
            await asyncio.sleep(REPORT_SECONDS * random.uniform(0.9, 1.1))

    async def end(self) -> None:
        """Say that this process ends: it is drained, and takes nothing new."""
        self._ended = True
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._reports.remove(self.process)
        except (GuideError, TimeoutError) as error:
            _log.warning("this process's report was not removed", error=str(error) or "no answer in time")
