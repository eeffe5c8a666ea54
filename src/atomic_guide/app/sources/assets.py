"""`assets`: copies of lectures in other stores; no data where no store is declared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.spread import Spread

ASSETS = "assets"

METRICS = (
    Metric(ASSETS, "stored", "bytes", "Lectures whose copy in a store is verified.", "store"),
    Metric(ASSETS, "waiting", "copies", "Copies that are not verified yet, and have not failed.", "store"),
    Metric(ASSETS, "failed", "copies", "Copies that could not be made, or were found wrong and not healed.", "store"),
    Metric(ASSETS, "behind", "s", "How long the copy that waits longest, or has failed, has stood so.", "store"),
    Metric(ASSETS, "deletions", "deletions", "Deletions that wait for a store."),
)


class AssetsSource:
    """Reads the catalogue: one grouped statement of the directory."""

    name = ASSETS
    metrics = METRICS

    def __init__(self, spread: Spread | None) -> None:
        self._spread = spread

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick."""
        if self._spread is None or not self._spread.on:
            return []
        stored, waiting, failed = Counter[str](), Counter[str](), Counter[str]()
        behind: dict[str, float] = {}
        for one in await self._spread.parts.catalog.counts():
            if one.state == "verified":
                stored[one.store] += one.bytes
                continue
            (failed if one.state == "failed" else waiting)[one.store] += one.sets
            behind[one.store] = max(behind.get(one.store, 0.0), at - one.oldest)
        samples = [Sample(Key(ASSETS, "deletions"), float(await self._spread.deletions.waiting()))]
        for store in self._spread.parts.remotes:
            samples += [
                Sample(Key(ASSETS, "stored", store), float(stored[store])),
                Sample(Key(ASSETS, "waiting", store), float(waiting[store])),
                Sample(Key(ASSETS, "failed", store), float(failed[store])),
                Sample(Key(ASSETS, "behind", store), behind.get(store, 0.0)),
            ]
        return samples
