"""Fleets in Kubernetes whose replicas we set: Deployments here, Clusters of PostgreSQL in cluster.py.

Only the scale subresource is written, at the version that was read, so that nobody's change is overwritten unseen. A
version also changes with each pod that comes or goes; then the object is read again and, where the replicas are still
those that were found, the same is tried again.

An act is done once. Its wish is in the directory before the object is touched (operations/scaling/wishes.py): whoever
finds it there unfinished knows what was set before, and so whether the object was changed already.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

import msgspec
import structlog

from atomic_guide.app.targets.apiserver import DEPLOYMENT, ApiServer, ApiUnavailable, decoded, patiently, until
from atomic_guide.app.targets.processes import Bounds
from atomic_guide.errors import Conflict, Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.kubernetes import KubernetesSettings
from atomic_guide.operations.scaling.wishes import Wishes
from atomic_guide.resilience import retrying

_log = structlog.get_logger(__name__)

STRANGERS = 2
"""Changes by others that an act bears: a person who does the same at the same moment is one, a program never stops."""


class Found(NamedTuple):
    """How many units are set and are ready, at which version; fewer than `least` the object cannot bear."""

    units: int
    ready: int
    version: str
    least: int = 0


class Scalable(Protocol):
    """An object whose number of units can be set."""

    @property
    def what(self) -> str:
        """How people call it, such as `Deployment atomic-guide-web`."""
        ...

    async def read(self) -> Found:
        """What is set and what is ready. Raises `ApiUnavailable`."""
        ...

    async def set(self, units: int, version: str, *, rehearse: bool = False) -> None:
        """Set the number at the version that was read; `rehearse` changes nothing, and finds whether it could.

        Raises `Clash`, `Invalid` or `ApiUnavailable`.
        """
        ...


class SoleWriter(Protocol):
    """Knows whether anybody else sets the replicas of a fleet."""

    def refusal(self, fleet: str) -> str:
        """Why the fleet may not be changed; empty where nothing speaks against it."""
        ...


class ScaleTarget:
    """One fleet behind a scale subresource."""

    def __init__(
        self, fleet: str, scalable: Scalable, bounds: Bounds, wishes: Wishes, writers: SoleWriter,
        settings: KubernetesSettings,
    ) -> None:  # fmt: skip
        self.fleet = fleet
        self._scalable = scalable
        self._bounds = bounds
        self._wishes = wishes
        self._writers = writers
        self._settings = settings

    async def look(self) -> Fleet:
        """What is ready, and what starts until as many are as are set. Raises `ApiUnavailable`."""
        found = await patiently(self._scalable.read, self._settings.timeout_seconds)
        return fleet_of(found, self._bounds, found.units)

    async def scale(self, desired: int, key: str) -> None:
        """Set the number of units, once for each key; nothing for one that was taken back.

        Raises `Invalid` out of the bounds, `Conflict` where somebody else sets them too, a newer act has begun or a
        right is missing, and `ApiUnavailable` where the API server does not do it in `kubernetes.act_seconds`.
        """
        check_bounds(self.fleet, desired, self._bounds)
        if refusal := self._writers.refusal(self.fleet):
            raise Conflict(refusal)
        wish = await self._wishes.of(self.fleet)
        if wish is not None and wish.key == key and wish.done:
            return
        before = wish.before if wish is not None and wish.key == key else None
        act = _Act(self.fleet, key, desired, before)
        seconds = self._settings.act_seconds
        try:
            async for attempt in retrying(until(time.monotonic() + seconds), seconds=seconds):
                with attempt:
                    await self._try(act)
        except ApiUnavailable as error:
            if error.again:
                raise
            raise Conflict(error.message) from error
        _log.info("replicas set", fleet=self.fleet, object=self._scalable.what, units=desired, before=act.before)

    async def _try(self, act: _Act) -> None:
        found = await self._scalable.read()
        if act.desired < found.least:
            raise Invalid(
                f"{self._scalable.what} cannot go to {act.desired} replicas: {found.least} are needed for its"
                " synchronous replication"
            )
        if not await self._note(act, found):
            return
        if found.units != act.desired:
            await self._scalable.set(act.desired, found.version)
        await self._wishes.settle(self.fleet, act.key)

    async def _note(self, act: _Act, found: Found) -> bool:
        """Write down what was found before it is changed; False where the act was taken back, by whichever leader.

        Raises `Conflict` where others have changed it.
        """
        if act.before is None:
            act.before = found.units
            return await self._wishes.make(self.fleet, act.key, act.desired, found.units)
        if found.units not in {act.before, act.desired}:
            act.strangers += 1
            # Of an act that another leader began nobody can tell whether it was done before that change.
            if act.resumed or act.strangers > STRANGERS:
                raise Conflict(
                    f"something else sets the replicas of {self._scalable.what}: {found.units} now, {act.before} were"
                    f" found before and {act.desired} asked for; leave spec.replicas out of what applies its manifest,"
                    " or set the fleet's mode to shadow"
                )
            act.before = found.units
        if not await self._wishes.found(self.fleet, act.key, act.before):
            raise Conflict(f"a newer act on {self.fleet} has begun; this one ({act.key}) is left")
        return True


class _Act:
    """An act in progress: what it found first, and how often others have changed that."""

    def __init__(self, fleet: str, key: str, desired: int, before: int | None) -> None:
        self.fleet = fleet
        self.key = key
        self.desired = desired
        self.before = before
        self.resumed = before is not None
        self.strangers = 0


def check_bounds(fleet: str, desired: int, bounds: Bounds) -> None:
    """Raise `Invalid` for a number out of the fleet's bounds."""
    if not bounds.least <= desired <= bounds.most:
        raise Invalid(f"{desired} {fleet} are out of the bounds of the fleet: from {bounds.least} to {bounds.most}")


def fleet_of(found: Found, bounds: Bounds, wanted: int) -> Fleet:
    """A fleet that is on its way to `wanted` units.

    Whatever a rolling update has taken down comes back by itself, and what it has started above the number goes again:
    so ready and starting together are the units that there will be, and an update is no missing capacity.
    """
    ready = min(found.ready, found.units)
    least = max(bounds.least, found.least)
    return Fleet(ready, max(wanted, found.units) - ready, least, max(bounds.most, least), bounds.unit)


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    generation: int = 0


class _Spec(msgspec.Struct, frozen=True):
    replicas: int = 1


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class _DeploymentStatus(msgspec.Struct, frozen=True, rename="camel"):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: list[_Condition] = []

    @property
    def stall(self) -> str:
        """Why its pods do not come, in Kubernetes' words; empty where they do."""
        for one in self.conditions:
            if (one.type, one.status) in {("Progressing", "False"), ("ReplicaFailure", "True")}:
                return one.message or one.reason
        return ""


class _Deployment(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _DeploymentStatus = _DeploymentStatus()


class DeploymentScale:
    """A Deployment's replicas."""

    def __init__(self, api: ApiServer, name: str) -> None:
        self._api = api
        self._name = name
        self._stall = ""

    @property
    def what(self) -> str:
        """`Deployment NAME`."""
        return f"{DEPLOYMENT.name} {self._name}"

    async def read(self) -> Found:
        """What is set and what is ready, of whichever revision of the pods. Raises `ApiUnavailable`."""
        one = decoded(await self._api.get(DEPLOYMENT, self._name), _Deployment, self.what)
        status = one.status
        if status.stall != self._stall:
            self._stall = status.stall
            if status.stall:
                _log.warning(
                    "pods do not come", object=self.what, wanted=one.spec.replicas, ready=status.ready_replicas,
                    updated=status.updated_replicas, unavailable=status.unavailable_replicas, why=status.stall,
                    observed=status.observed_generation == one.metadata.generation,
                )  # fmt: skip
        return Found(one.spec.replicas, status.ready_replicas, one.metadata.resource_version)

    async def set(self, units: int, version: str, *, rehearse: bool = False) -> None:
        """Set the replicas. Raises `Clash`, `Invalid` or `ApiUnavailable`."""
        await self._api.set_scale(DEPLOYMENT, self._name, units, version, rehearse=rehearse)
