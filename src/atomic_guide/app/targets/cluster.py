"""A shard's read replicas where CloudNativePG runs its PostgreSQL: the instances of a `Cluster`, less the primary.

The operator's own checks of a Cluster are not run for changes through the scale subresource, so the bound that they
would hold is held here: never fewer replicas than synchronous replication waits for, else the primary stops writing.
"""

from __future__ import annotations

import msgspec

from atomic_guide.app.targets.apiserver import CLUSTER, ApiServer, ApiUnavailable, decoded
from atomic_guide.app.targets.kubernetes import Found


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Synchronous(msgspec.Struct, frozen=True):
    number: int = 0


class _Postgresql(msgspec.Struct, frozen=True):
    synchronous: _Synchronous | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    instances: int
    min_sync_replicas: int = 0
    max_sync_replicas: int = 0
    postgresql: _Postgresql = _Postgresql()

    @property
    def least(self) -> int:
        """Replicas that synchronous replication needs, in the newer form of its settings or the older."""
        newer = self.postgresql.synchronous.number if self.postgresql.synchronous else 0
        return max(newer, self.min_sync_replicas, self.max_sync_replicas)


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    ready_instances: int = 0
    current_primary: str = ""
    target_primary: str = ""
    phase: str = ""


class _Cluster(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec
    status: _Status = _Status()


class ClusterScale:
    """A Cluster's replicas."""

    def __init__(self, api: ApiServer, name: str) -> None:
        self._api = api
        self._name = name

    @property
    def what(self) -> str:
        """`Cluster NAME`."""
        return f"{CLUSTER.name} {self._name}"

    async def read(self) -> Found:
        """What is set and what is ready beside the primary.

        Raises `ApiUnavailable`, also while the primary changes: then nobody can tell what is a replica.
        """
        one = decoded(await self._api.get(CLUSTER, self._name), _Cluster, self.what)
        status = one.status
        if status.current_primary != status.target_primary:
            raise ApiUnavailable(
                f"{self.what} is changing its primary ({status.phase or 'switchover'}); its replicas are left alone",
                again=True,
            )
        ready = max(status.ready_instances - 1, 0)
        return Found(max(one.spec.instances - 1, 0), ready, one.metadata.resource_version, one.spec.least)

    async def set(self, units: int, version: str, *, rehearse: bool = False) -> None:
        """Set the replicas. Raises `Clash`, `Invalid` or `ApiUnavailable`."""
        await self._api.set_scale(CLUSTER, self._name, units + 1, version, rehearse=rehearse)
