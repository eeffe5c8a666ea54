"""`scaling`: how the system's own acts and forecasts have been of late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.watch import WINDOW
from atomic_guide.operations.scaling.events import Reader
from atomic_guide.operations.scaling.judging import recent
from atomic_guide.operations.scaling.loop import MIND
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database

SCALING = "scaling"

METRICS = (
    Metric(SCALING, "success_rate", "share", "Acts of the last 24 hours that did what they should; none, no data."),
    Metric(SCALING, "events_per_hour", "acts", "Acts that were begun in the last hour."),
    Metric(SCALING, "leader", "switch", "1 from the process that leads; no data where none does."),
    Metric(SCALING, "forecast_wrong", "switch", "1 while a forecast is not relied on, for what came instead.", "fleet"),
)


class ScalingSource:
    """Over what the leader has written down."""

    name = SCALING
    metrics = METRICS

    def __init__(self, directory: Database) -> None:
        self._reader = Reader(directory)

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick; of forecasts those of the tick before."""
        lately = await recent(self._reader, at)
        samples = [
            Sample(Key(SCALING, "leader"), 1.0),
            Sample(Key(SCALING, "events_per_hour"), float(lately.events_per_hour)),
        ]
        if lately.success.rate is not None:
            samples.append(Sample(Key(SCALING, "success_rate"), lately.success.rate))
        return samples + [Sample(Key(SCALING, "forecast_wrong", fleet), wrong)
                          for fleet, wrong in (await self._wrong(at)).items()]  # fmt: skip

    async def _wrong(self, at: float) -> dict[str, float]:
        """Of the forecasts that were judged within the last three quarters of an hour."""
        saved = await self._reader.recall(MIND)
        try:
            state = Memory.loaded(saved).state if saved else Memory().state
        except Invalid:
            # Another version wrote it: nothing can be said of its forecasts.
            return {}
        return {
            fleet: float(not watch.trusted and watch.good_since is None)
            for fleet, watch in state.watches.items()
            if watch.judged_at is not None and at - watch.judged_at <= WINDOW and watch.slots
            and (watch.trusted or watch.good_since is not None or watch.why.startswith("the last"))
        }  # fmt: skip
