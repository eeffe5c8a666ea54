"""The table of docs/metrics.md is what sources declare."""

import re
from pathlib import Path

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
from atomic_guide.app.sources.declared import DECLARED

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SOURCES = (
    web.WebSource, workers.WorkersSource, queues.QueuesSource, rooms.RoomsSource, database.DatabaseSource,
    costs.CostsSource, scaling.ScalingSource, disk.DiskSource, backups.BackupsSource,
    limits.LimitsSource, regions.RegionsSource, cache.CacheSource, assets.AssetsSource,
)  # fmt: skip


def test_the_page_lists_what_sources_declare() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (.*?) \| (.*?) \| (\w+) \| (.*?) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    declared = [(one.component, one.name, one.part or "-", one.unit, one.kind, one.what) for one in DECLARED]
    assert rows == declared
    assert len({row[:2] for row in rows}) == len(rows)


def test_every_source_declares_its_metrics_under_its_name() -> None:
    assert {metric for source in SOURCES for metric in source.metrics} == set(DECLARED)
    for source in SOURCES:
        assert {metric.component for metric in source.metrics} == {source.name}
