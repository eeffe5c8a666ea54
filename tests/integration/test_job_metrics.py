from pathlib import Path

from prometheus_client import CollectorRegistry

from atomic_guide.app.job_metrics import JobMetrics
from tests import media


async def test_jobs_are_counted_by_how_they_end_and_where_they_wait(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = JobMetrics(registry)
    async with media.opened(tmp_path) as studio:
        teacher = await studio.enter()
        broken = b"\0\0\0\x18ftypisom" + bytes(500)
        video = await media.upload(teacher, broken)
        await metrics.look(studio.shards, studio.clock)
        assert registry.get_sample_value("atomic_guide_jobs", {"queue": "video", "state": "queued"}) == 1
        assert (registry.get_sample_value("atomic_guide_job_oldest_wait_seconds", {"queue": "video"}) or 0) < 60
        async with studio.working(metrics):
            await media.until(teacher, video, "failed")
        await metrics.look(studio.shards, studio.clock)
    assert registry.get_sample_value("atomic_guide_jobs", {"queue": "video", "state": "queued"}) is None
    assert registry.get_sample_value("atomic_guide_jobs", {"queue": "video", "state": "dead"}) == 1
    labels = {"kind": "video.transcode", "outcome": "dead"}
    assert registry.get_sample_value("atomic_guide_job_runs_total", labels) == 1
