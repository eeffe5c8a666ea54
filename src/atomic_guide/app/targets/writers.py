"""One writer for each object: whether an autoscaler of the cluster also sets the replicas of a fleet.

Two that set the same number undo one another's work for ever. Looked at when the server starts, where it refuses, and
again every few minutes, where it stops acting on that fleet until the other is gone.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from atomic_guide.app.targets.apiserver import (
    AUTOSCALER,
    CLUSTER,
    DEPLOYMENT,
    SCALED_OBJECT,
    ApiServer,
    ApiUnavailable,
    Kind,
    decoded,
    patiently,
)
from atomic_guide.app.targets.processes import Bounds
from atomic_guide.errors import GuideError

K = TypeVar("K")

_log = structlog.get_logger(__name__)

WANTED_PATH = "/api/ops/scaling/wanted/"
"""What KEDA asks; followed by the fleet's name."""

_UNSEEN = "nobody could yet look whether something else sets the replicas of {what}: {why}"


class Owned(NamedTuple):
    """An object that a fleet consists of; by KEDA's hand where `keda`, within the fleet's bounds."""

    fleet: str
    kind: Kind
    name: str
    keda: bool
    bounds: Bounds

    @property
    def what(self) -> str:
        """`Deployment NAME`."""
        return f"{self.kind.name} {self.name}"


class _Owner(msgspec.Struct, frozen=True):
    kind: str
    name: str


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    owner_references: list[_Owner] = []


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    kind: str = DEPLOYMENT.name
    api_version: str = "apps/v1"

    def names(self, owned: Owned) -> bool:
        group = self.api_version.partition("/")[0]
        return (self.name, self.kind, group) == (owned.name, owned.kind.name, owned.kind.group)


class _AutoscalerSpec(msgspec.Struct, frozen=True, rename="camel"):
    scale_target_ref: _Reference


class _Autoscaler(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _AutoscalerSpec

    @property
    def of_keda(self) -> str:
        """The ScaledObject that made it, if one did."""
        return next((one.name for one in self.metadata.owner_references if one.kind == SCALED_OBJECT.name), "")


class _Trigger(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    metadata: dict[str, str] = {}
    metric_type: str = "AverageValue"


class _ScaledObjectSpec(msgspec.Struct, frozen=True, rename="camel"):
    scale_target_ref: _Reference
    triggers: list[_Trigger] = []
    min_replica_count: int = 0
    max_replica_count: int = 100


class _ScaledObject(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _ScaledObjectSpec


class Writers:
    """Who else sets the replicas of these objects."""

    def __init__(self, api: ApiServer, owned: list[Owned]) -> None:
        self._api = api
        self._owned = owned
        self._seen = False
        self._refusals = {one.fleet: _UNSEEN.format(what=one.what, why="not asked") for one in owned}

    def refusal(self, fleet: str) -> str:
        """Why the fleet may not be changed; empty where nothing speaks against it."""
        return self._refusals.get(fleet, "")

    async def look(self, seconds: float) -> list[str]:
        """What speaks against acting, over all fleets; empty where we are alone. Raises `ApiUnavailable`."""
        try:
            autoscalers = await self._read(AUTOSCALER, _Autoscaler, seconds)
            scaled = await self._read(SCALED_OBJECT, _ScaledObject, seconds)
        except ApiUnavailable as error:
            # What was seen stays: an API that is away for a moment changes nothing in the cluster.
            if not self._seen:
                self._refusals = {one.fleet: _UNSEEN.format(what=one.what, why=error.message) for one in self._owned}
            raise
        found = {one.fleet: _against(one, autoscalers, scaled) for one in self._owned}
        for fleet, why in found.items():
            if why and why != self._refusals[fleet]:
                _log.warning("a fleet has another writer", fleet=fleet, why=why)
        self._refusals, self._seen = found, True
        return [why for why in found.values() if why]

    async def keep_looking(self, every: float, seconds: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.look(seconds)
            except GuideError as error:
                _log.warning("cannot look for other writers", why=error.message)

    async def _read(self, kind: Kind, form: type[K], seconds: float) -> list[K]:
        raw = await patiently(lambda: self._api.all_of(kind), seconds)
        return [decoded(bytes(one), form, kind.name) for one in raw]


def _against(owned: Owned, autoscalers: list[_Autoscaler], scaled: list[_ScaledObject]) -> str:
    """What speaks against acting on an object."""
    objects = [one for one in scaled if one.spec.scale_target_ref.names(owned)]
    ours = objects[0].metadata.name if owned.keda and len(objects) == 1 else None
    for one in autoscalers:
        if one.spec.scale_target_ref.names(owned) and not (ours and one.of_keda == ours):
            return _second(owned, AUTOSCALER, one.metadata.name)
    if not owned.keda:
        return _second(owned, SCALED_OBJECT, objects[0].metadata.name) if objects else ""
    if len(objects) != 1:
        names = ", ".join(one.metadata.name for one in objects) or "none"
        return (
            f"setting kubernetes.{owned.fleet}.writer is keda: {owned.what} needs exactly one ScaledObject in its"
            f" namespace, there is {names}; deploy/kubernetes/scaledobject.yaml shows it"
        )
    return _wrong(owned, objects[0])


def _second(owned: Owned, kind: Kind, name: str) -> str:
    remedy = "remove it"
    if kind is SCALED_OBJECT and owned.kind is not CLUSTER:
        remedy += f", or let it read our number with the setting kubernetes.{owned.fleet}.writer = keda"
    return f"{owned.what} ({owned.fleet}) is also scaled by the {kind.name} {name}: {remedy}, or scale it there only"


def _wrong(owned: Owned, found: _ScaledObject) -> str:
    """What of a ScaledObject does not let our number through."""
    what = f"ScaledObject {found.metadata.name} of {owned.what}"
    path = f"{WANTED_PATH}{owned.fleet}"
    if len(found.spec.triggers) != 1:
        return f"{what} must have one trigger, metrics-api on {path}: KEDA takes the largest of several"
    trigger = found.spec.triggers[0]
    data = trigger.metadata
    if trigger.type != "metrics-api" or not data.get("url", "").partition("?")[0].endswith(path):
        return f"{what} must read {path} with a trigger of type metrics-api"
    expected = {"valueLocation": "value", "targetValue": "1"}
    for name, value in expected.items():
        if data.get(name) != value:
            return f"{what}: {name} must be {value!r}, so that KEDA wants as many as we do"
    if trigger.metric_type != "AverageValue":
        return f"{what}: metricType must be AverageValue, so that KEDA wants as many as we do"
    least, most = found.spec.min_replica_count, found.spec.max_replica_count
    if least > owned.bounds.least or most < owned.bounds.most:
        return (
            f"{what} keeps {least} to {most} replicas, the fleet has {owned.bounds.least} to {owned.bounds.most}:"
            f" minReplicaCount and maxReplicaCount must not be narrower than scaling.{owned.fleet}.min and .max"
        )
    return ""
