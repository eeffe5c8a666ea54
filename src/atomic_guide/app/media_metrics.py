"""Stored lectures as Prometheus sees them: bytes, and how many tenants are at the end of what they may store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

from atomic_guide.course.video.space.quotas import totals

if TYPE_CHECKING:
    from atomic_guide.course.video.videos import Parts


class MediaMetrics:
    """The metrics of all tenants together; one by one they are at /api/ops/lectures/space."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._bytes = Gauge(
            "atomic_guide_lectures_stored_bytes", "Bytes of lectures that are counted.", registry=registry
        )
        self._tenants = Gauge(
            "atomic_guide_lectures_tenants",
            "Tenants by what is left to them: near (a tenth or less), full, all.",
            ("quota",),
            registry=registry,
        )

    async def look(self, parts: Parts) -> None:
        """Read the accounts; for a root task."""
        found = await totals(parts.shards.directory, parts.settings.tenant_quota_bytes)
        self._bytes.set(found.used)
        for name, tenants in (("all", found.tenants), ("near", found.near), ("full", found.full)):
            self._tenants.labels(name).set(tenants)
