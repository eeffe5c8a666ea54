from pathlib import Path

from prometheus_client import CollectorRegistry

from atomic_guide.app.event_metrics import EventMetrics
from atomic_guide.clock import SystemClock
from tests.engines import opened_shards
from tests.postgres import Cluster
from tests.watching import add_lecture, all_counted, body, counting, event, sender, taking, watched


async def test_events_are_told_by_what_became_of_them_and_how_long_they_wait(
    tmp_path: Path, postgres_cluster: Cluster
) -> None:
    registry, clock = CollectorRegistry(), SystemClock()
    async with opened_shards("sqlite", tmp_path, postgres_cluster) as shards:
        await add_lecture(shards)
        events = taking(shards)
        metrics = EventMetrics(events)
        registry.register(metrics)
        now = clock.now()
        sent = body(watched(now, 0, 10), watched(now, 10, 20), event("nothing that is known", now))
        await events.take(sender("ada"), sent)
        await events.take(sender("ada"), sent)
        await metrics.look(shards, clock)
        waiting = registry.get_sample_value("atomic_guide_events_waiting")
        assert waiting == 2
        assert registry.get_sample_value("atomic_guide_events_lag_seconds") is not None
        async with counting(events, shards):
            await all_counted(shards)
        await metrics.look(shards, clock)
    outcomes = {
        outcome: registry.get_sample_value("atomic_guide_events_total", {"outcome": outcome})
        for outcome in ("accepted", "duplicate", "rejected", "counted")
    }
    assert outcomes == {"accepted": 2, "duplicate": 2, "rejected": 2, "counted": 2}
    assert registry.get_sample_value("atomic_guide_events_waiting") == 0
    assert registry.get_sample_value("atomic_guide_events_lag_seconds") == 0
