"""Every metric that a source declares, for the page of metrics, the command that reads them, and whoever words them."""

from __future__ import annotations

from atomic_guide.app.sources import (
    assets,
    backups,
    cache,
    costs,
    database,
    disk,
    limits,
    queues,
    regions,
    rooms,
    scaling,
    web,
    workers,
)

DECLARED = (
    *(*web.METRICS, *workers.METRICS, *queues.METRICS, *rooms.METRICS, *database.METRICS, *costs.METRICS),
    *(*scaling.METRICS, *disk.METRICS, *backups.METRICS, *limits.METRICS, *regions.METRICS, *cache.METRICS),
    *assets.METRICS,
)

UNITS = {(one.component, one.name): one.unit for one in DECLARED}
"""What each metric is counted in, for whatever puts a figure into words."""
