"""Counting what happens, and handing over what a second brought."""

from __future__ import annotations

import time
from collections.abc import Callable

from atomic_guide.durations import Durations
from atomic_guide.operations.loadtest.counts import WAITED, Cell, Second


class _Counts:
    """A cell that is being counted."""

    __slots__ = ("done", "durations", "failed")

    def __init__(self) -> None:
        self.done = 0
        self.failed: dict[str, int] = {}
        self.durations = Durations()


class Recorder:
    """Counts of one tester since they were last taken."""

    def __init__(self, part: int) -> None:
        self._part = part
        self._cells: dict[tuple[int, str], _Counts] = {}
        self._due: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        self._late: dict[int, Durations] = {}
        self._cpu = time.process_time()
        self._at = time.monotonic()
        self.in_flight = 0
        self.sockets = 0

    def done(self, stage: int, name: str, seconds: float) -> None:
        """Something succeeded."""
        counts = self._counts(stage, name)
        counts.done += 1
        counts.durations.add(seconds)

    def failed(self, stage: int, name: str, kind: str, seconds: float) -> None:
        """Something failed after so many seconds."""
        counts = self._counts(stage, name)
        counts.failed[kind] = counts.failed.get(kind, 0) + 1
        if kind in WAITED:
            counts.durations.add(seconds)

    def began(self, stage: int, late: float) -> None:
        """An arrival was begun, so many seconds after it was due."""
        self._due[stage] = self._due.get(stage, 0) + 1
        if (lags := self._late.get(stage)) is None:
            lags = self._late[stage] = Durations()
        lags.add(late)

    def dropped(self, stage: int) -> None:
        """An arrival was due and could not be begun."""
        self._due[stage] = self._due.get(stage, 0) + 1
        self._dropped[stage] = self._dropped.get(stage, 0) + 1

    def adder(self, name: str) -> Callable[[int, float], None]:
        """A quick way to `done` for one name that comes thousands of times a second: (stage, seconds)."""

        def add(stage: int, seconds: float) -> None:
            counts = self._cells.get((stage, name)) or self._counts(stage, name)
            counts.done += 1
            counts.durations.add(seconds)

        return add

    def taken(self, second: int) -> Second:
        """What has come since the last call."""
        now, cpu = time.monotonic(), time.process_time()
        cells = [
            Cell(stage, name, one.done, one.failed, dict(one.durations.counts), one.durations.total)
            for (stage, name), one in self._cells.items()
        ]
        late = {stage: dict(lags.counts) for stage, lags in self._late.items()}
        told = Second(
            part=self._part, second=second, cells=cells, due=self._due, dropped=self._dropped, late=late,
            in_flight=self.in_flight, sockets=self.sockets, cpu=cpu - self._cpu, span=now - self._at,
        )  # fmt: skip
        self._cells, self._due, self._dropped, self._late = {}, {}, {}, {}
        self._at, self._cpu = now, cpu
        return told

    def _counts(self, stage: int, name: str) -> _Counts:
        key = (stage, name)
        counts = self._cells.get(key)
        if counts is None:
            counts = self._cells[key] = _Counts()
        return counts
