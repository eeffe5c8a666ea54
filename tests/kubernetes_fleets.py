"""What tests of fleets in Kubernetes share: settings for the fake, a directory, and the targets over both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from atomic_guide.app.targets.assembly import kubernetes_targets
from atomic_guide.app.targets.processes import Bounds
from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.engines.data.sqlite_settings import SqliteSettings
from atomic_guide.operations.scaling.kubernetes import DeploymentSettings, KubernetesSettings
from atomic_guide.operations.scaling.model import Target
from atomic_guide.operations.scaling.wishes import Wishes
from tests.fakes.kubernetes import FakeKubernetes, fake_kubernetes

WEB, WORKER, SHARD = "atomic-guide-web", "atomic-guide-worker", "atomic-guide-shard-1"
"""Names that the Role we ship allows."""

WORKERS_BY_SCALE = DeploymentSettings(WORKER)
WORKERS_BY_KEDA = DeploymentSettings(WORKER, "keda")
BOUNDS = {
    "web": Bounds(1, 10, 100.0),
    "workers": Bounds(0, 20, 1.0),
    "replicas/shard-1": Bounds(0, 4, 500.0),
}


class World(NamedTuple):
    """A cluster, a directory and the settings of a server in it."""

    cluster: FakeKubernetes
    directory: Database
    wishes: Wishes
    clock: ManualClock
    settings: KubernetesSettings

    @asynccontextmanager
    async def targets(self, **changes: Any) -> AsyncIterator[dict[str, Target]]:
        """The targets by fleet, as a server has them while it runs; each call is another server."""
        settings = msgspec.structs.replace(self.settings, **changes)
        async with kubernetes_targets(settings, BOUNDS, self.wishes) as found:
            yield {one.fleet: one for one in found}


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """A cluster with four workers that are ready."""
    mounted = folder / "mounted"
    mounted.mkdir()
    path = folder / "directory.sqlite"
    upgrade_file(path, "directory")
    directory = SqliteDatabase(path, SqliteSettings())
    clock = ManualClock()
    try:
        async with fake_kubernetes(mounted) as cluster:
            cluster.deployment(WORKER, 4)
            settings = KubernetesSettings(
                api_url=cluster.url,
                token_file=str(mounted / "token"),
                ca_file=str(mounted / "ca.crt"),
                workers=WORKERS_BY_SCALE,
                # Generous, because the machine may be busy; tests of what is slow set their own.
                timeout_seconds=15.0,
                act_seconds=30.0,
            )
            yield World(cluster, directory, Wishes(directory, clock), clock, settings)
    finally:
        await directory.close()
