"""The targets of a server that runs in Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import structlog

from atomic_guide.app.targets.apiserver import CLUSTER, DEPLOYMENT, ApiServer, ApiUnavailable, Clash, patiently
from atomic_guide.app.targets.cluster import ClusterScale
from atomic_guide.app.targets.keda import KedaTarget
from atomic_guide.app.targets.kubernetes import DeploymentScale, Found, Scalable, ScaleTarget
from atomic_guide.app.targets.processes import Bounds
from atomic_guide.app.targets.writers import Owned, Writers
from atomic_guide.errors import ConfigurationError, Invalid
from atomic_guide.operations.scaling.kubernetes import KubernetesSettings, replicas_of
from atomic_guide.operations.scaling.model import Target
from atomic_guide.operations.scaling.wishes import Wishes

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def kubernetes_targets(
    settings: KubernetesSettings, bounds: Mapping[str, Bounds], wishes: Wishes
) -> AsyncIterator[list[Target]]:
    """A target for each fleet that the settings place in Kubernetes, none without such; `bounds` by fleet.

    Raises `ConfigurationError` where something else sets the same replicas or a right is missing. An API server that is
    away is no reason not to start: nothing is changed until it could be asked who else writes.
    """
    if not settings.on:
        yield []
        return
    api = ApiServer(settings)
    owned = _owned(settings, bounds)
    writers = Writers(api, owned)
    try:
        scalables = [
            ClusterScale(api, one.name) if one.kind is CLUSTER else DeploymentScale(api, one.name) for one in owned
        ]
        await _checked(writers, list(zip(owned, scalables, strict=True)), settings.timeout_seconds)
        targets = [_target(*pair, settings, wishes, writers) for pair in zip(owned, scalables, strict=True)]
        looking = asyncio.create_task(writers.keep_looking(settings.check_seconds, settings.timeout_seconds))
        try:
            yield targets
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
    finally:
        await api.close()


def _owned(settings: KubernetesSettings, bounds: Mapping[str, Bounds]) -> list[Owned]:
    found = [
        Owned(fleet, DEPLOYMENT, str(one.deployment), one.writer == "keda", bounds[fleet])
        for fleet, one in settings.deployments.items()
    ]
    for cluster in settings.clusters:
        fleet = replicas_of(cluster)
        found.append(Owned(fleet, CLUSTER, cluster.cluster, keda=False, bounds=bounds[fleet]))
    return found


async def _checked(writers: Writers, fleets: Sequence[tuple[Owned, Scalable]], seconds: float) -> None:
    """Refuse what could never work: no right, no such object, another writer."""
    try:
        for owned, scalable in fleets:
            found = await patiently(scalable.read, seconds)
            if not owned.keda:
                await _rehearse(scalable, found)
        against = await writers.look(seconds)
    except ApiUnavailable as error:
        if not error.again:
            raise ConfigurationError(error.message) from error
        _log.warning("the API server is away; nothing is scaled in Kubernetes until it answers", why=error.message)
        return
    if against:
        raise ConfigurationError("; ".join(against))


async def _rehearse(scalable: Scalable, found: Found) -> None:
    """Find whether the replicas may be set. Raises `ApiUnavailable`."""
    try:
        await scalable.set(found.units, found.version, rehearse=True)
    except Clash:
        # Asked in a form that is taken, by somebody who may.
        return
    except Invalid as error:
        # Checks of others (admission webhooks) that have effects take part in no rehearsal, and it is refused for that.
        _log.warning("whether replicas may be set cannot be rehearsed", object=scalable.what, why=error.message)


def _target(one: Owned, scalable: Scalable, settings: KubernetesSettings, wishes: Wishes, writers: Writers) -> Target:
    if one.keda:
        return KedaTarget(one.fleet, scalable, one.bounds, wishes, writers, settings.timeout_seconds)
    return ScaleTarget(one.fleet, scalable, one.bounds, wishes, writers, settings)
