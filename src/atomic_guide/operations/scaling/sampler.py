"""Every source measured once a tick, side by side, and what they say put on record.

A source that raises or hangs costs its own samples and is named in `Seen.missing`; one that still hangs at the next
tick is not asked again meanwhile. A figure that is no number, infinite or negative counts as not measured. That nothing
can be recorded is told of there too, under `series`, and is no reason not to see.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import structlog

from atomic_guide.clock import Clock
from atomic_guide.errors import GuideError
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key, Sample, Seen, Source
from atomic_guide.operations.scaling.series import FINEST, Series

_log = structlog.get_logger(__name__)

SAMPLE_SECONDS = FINEST
"""How often is sampled."""

LIMIT_SECONDS = 5.0
"""How long one source may take; all are asked at the same time."""

RECORD_SECONDS = 3.0
"""How long recording may take: both together well below the time between two samples."""

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
"""What `Seen` has of durations beside their mean, as `latency_p95` beside `latency`."""

RECORD = "series"
"""The name in `Seen.missing` for what could be measured and not be recorded."""


class Sampler:
    """Asks the sources; `last` is what was seen at the last tick, None before the first."""

    def __init__(self, sources: Sequence[Source], series: Series, clock: Clock) -> None:
        self.sources = tuple(sources)
        self.series = series
        self.last: Seen | None = None
        self._clock = clock
        self._asked: dict[str, asyncio.Task[list[Sample]]] = {}
        self._storing: asyncio.Task[None] | None = None
        self._why: dict[str, str] = {}
        self._slot = -math.inf

    def until_next(self) -> float:
        """Seconds until the middle of the next slot: a tick that is a little early or late still falls in its own."""
        into = self._clock.now() % SAMPLE_SECONDS
        left = SAMPLE_SECONDS / 2 - into
        return left if left > 0 else left + SAMPLE_SECONDS

    async def sample(self) -> Seen:
        """Measure everything and record it. Never raises for a source or the record; takes eight seconds at most."""
        at = self._clock.now()
        missing: dict[str, str] = {}
        samples: list[Sample] = []
        for source, found in zip(self.sources, await self._measured(at), strict=True):
            if isinstance(found, str):
                missing[source.name] = found
                continue
            sound = [sample for sample in found if _is_sound(sample)]
            if strange := [sample for sample in found if not _is_sound(sample)]:
                missing[source.name] = "; ".join(_strange(sample) for sample in strange)
            samples += sound
        if why := await self._stored(at, samples):
            missing[RECORD] = why
        self._tell(missing)
        counted = {sample.key: sample.histogram for sample in samples if sample.histogram is not None}
        self.last = Seen(at, values_of(samples), missing, counted)
        return self.last

    async def _measured(self, at: float) -> list[list[Sample] | str]:
        for source in self.sources:
            asked = self._asked.get(source.name)
            if asked is None or asked.done():
                task = asyncio.create_task(source.measure(at), name=f"source {source.name} {at}")
                task.add_done_callback(_retrieve)
                self._asked[source.name] = task
        tasks = [self._asked[source.name] for source in self.sources]
        if tasks:
            # Not `wait_for`, which would wait for a source that does not let itself be cancelled.
            await asyncio.wait(tasks, timeout=LIMIT_SECONDS)
        found = [_outcome(task, at) for task in tasks]
        for task in tasks:
            task.cancel()
        return found

    async def _stored(self, at: float, samples: Sequence[Sample]) -> str:
        """Record what was measured; why not, where it was not."""
        if self._storing is not None and not self._storing.done():
            return "what was measured before is still being recorded"
        self._storing = asyncio.create_task(self.series.store(self._place(at), samples))
        self._storing.add_done_callback(_retrieve)
        await asyncio.wait([self._storing], timeout=RECORD_SECONDS)
        if not self._storing.done():
            return f"not recorded within {RECORD_SECONDS:g} s"
        error = self._storing.exception()
        return _reason(error) if error is not None else ""

    def _place(self, at: float) -> float:
        """The slot of a tick: the one after the last, also where the tick came just before or after it."""
        slot = at // SAMPLE_SECONDS * SAMPLE_SECONDS
        following = self._slot + SAMPLE_SECONDS
        regular = self.last is not None and abs(at - self.last.at - SAMPLE_SECONDS) < SAMPLE_SECONDS / 2
        if regular and abs(slot - following) == SAMPLE_SECONDS:
            slot = following
        self._slot = slot
        return slot

    def _tell(self, missing: dict[str, str]) -> None:
        for name in missing.keys() | self._why.keys():
            if name not in missing:
                _log.info("is measured again", source=name)
            elif name not in self._why:
                _log.warning("is not measured", source=name, why=missing[name])
        self._why = missing


def values_of(samples: Sequence[Sample]) -> dict[Key, float]:
    """The values of a tick by series: of durations the mean, and quantiles under `..._p50`, `..._p95`, `..._p99`."""
    values: dict[Key, float] = {}
    for key, value, counts in samples:
        if counts is None:
            values[key] = value
            continue
        spread = Histogram(counts, value)
        if (mean := spread.mean) is not None:
            values[key] = mean
        for name, q in QUANTILES.items():
            if (quantile := spread.quantile(q)) is not None:
                values[key._replace(metric=f"{key.metric}_{name}")] = quantile
    return values


def _outcome(task: asyncio.Task[list[Sample]], at: float) -> list[Sample] | str:
    if not task.done():
        return f"no answer within {LIMIT_SECONDS:g} s"
    if task.cancelled():
        return f"no answer within {LIMIT_SECONDS:g} s"
    if (error := task.exception()) is not None:
        return _reason(error)
    # Begun by an earlier tick and ended since: the figures are of then.
    return task.result() if task.get_name().endswith(f" {at}") else "its last answer came too late"


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of an error, also of a task that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def _reason(error: BaseException) -> str:
    # The text of a foreign error may hold addresses; its kind is enough here.
    return error.message if isinstance(error, GuideError) else f"it failed with {type(error).__name__}"


def _is_sound(sample: Sample) -> bool:
    return math.isfinite(sample.value) and sample.value >= 0


def _strange(sample: Sample) -> str:
    part = f" of {sample.key.part}" if sample.key.part else ""
    return f"{sample.key.metric}{part} was {sample.value:g}"
