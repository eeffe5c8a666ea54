"""Settings of targets in Kubernetes: where its API is, which Deployment is which fleet, who sets their replicas."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.scaling.model import REPLICAS, WEB, WORKERS
from atomic_guide.setting import setting

_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
"""A DNS subdomain (RFC 1123), as names of Deployments and Clusters are."""

Name = Annotated[str, msgspec.Meta(pattern=_NAME)]


class DeploymentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The Deployment of one fleet, and who sets its replicas."""

    deployment: Annotated[
        Name | None, setting("The Deployment whose pods are the fleet; none: the fleet is not in Kubernetes.", "name")
    ] = None
    writer: Annotated[
        Literal["scale", "keda"],
        setting("scale: we set the replicas; keda: a ScaledObject does, from the number that we serve to it.", "mode"),
    ] = "scale"


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which CloudNativePG Cluster holds a shard; its replicas are the fleet `replicas/SHARD`."""

    shard: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    cluster: Name


class KubernetesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How scaling reaches Kubernetes. The defaults are those of a pod with a service account."""

    api_url: Annotated[
        str,
        setting("Where the API server answers; this name is known in every pod.", "URL", pattern=r"^https://[^/?#]+$"),
    ] = "https://kubernetes.default.svc"
    token_file: Annotated[
        str, setting("The service account's token; read anew for each call, because it is replaced hourly.", "path")
    ] = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
    ca_file: Annotated[
        str, setting("The authority that signed the API server's certificate; read anew when it changes.", "path")
    ] = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    namespace: Annotated[
        Name | None,
        setting("Where the Deployments and Clusters are; none: the file `namespace` beside the token.", "name"),
    ] = None
    web: DeploymentSettings = DeploymentSettings()
    workers: DeploymentSettings = DeploymentSettings()
    clusters: Annotated[
        tuple[ClusterSettings, ...],
        setting("CloudNativePG Clusters whose replicas are scaled: shard, cluster.", "tables"),
    ] = ()
    timeout_seconds: Annotated[
        float,
        setting("How long one call may take; Kubernetes' own objective is 1 s for 99 of 100.", "s", ge=0.1, le=60),
    ] = 2.0
    act_seconds: Annotated[
        float,
        setting(
            "How long a change is tried again while the object changes or the API is busy; an act has 20 s.",
            "s",
            ge=1,
            le=300,
        ),
    ] = 15.0
    check_seconds: Annotated[
        float,
        setting("How often is looked for another writer of the same replicas (HPA, ScaledObject).", "s", ge=1, le=3600),
    ] = 180.0
    keda_token: Annotated[
        Annotated[str, msgspec.Meta(min_length=16)] | None,
        setting("With it KEDA reads wanted counts, and nothing else; none: only the operators' token does.", "secret"),
    ] = None
    keda_stale_seconds: Annotated[
        float,
        setting(
            "How old the measurements behind a served count may be; after that 503, and KEDA's fallback holds. A new"
            " leader needs one minute, a metrics outage that heals itself a few.",
            "s",
            ge=60,
            le=86400,
        ),
    ] = 600.0

    @property
    def deployments(self) -> dict[str, DeploymentSettings]:
        """The fleets that are Deployments, by name."""
        return {fleet: one for fleet, one in ((WEB, self.web), (WORKERS, self.workers)) if one.deployment is not None}

    @property
    def on(self) -> bool:
        """Whether anything here is scaled in Kubernetes."""
        return bool(self.deployments or self.clusters)


def check_kubernetes(settings: KubernetesSettings) -> None:
    """Raise `ConfigurationError` for settings that cannot work together, naming them."""
    if settings.web.deployment is not None and settings.web.deployment == settings.workers.deployment:
        raise ConfigurationError(
            f"settings kubernetes.web.deployment and kubernetes.workers.deployment: {settings.web.deployment} cannot be"
            " both fleets; give each role a Deployment of its own"
        )
    for field in ("shard", "cluster"):
        named = [str(getattr(one, field)) for one in settings.clusters]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ConfigurationError(f"setting kubernetes.clusters: the {field} {twice[0]} stands there twice")


def replicas_of(cluster: ClusterSettings) -> str:
    """The name of the fleet of a Cluster's replicas."""
    return f"{REPLICAS}{cluster.shard}"
