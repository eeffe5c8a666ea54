"""The number of units that a fleet is wanted to have, for KEDA to scale by.

KEDA takes whatever number it gets, so this one never becomes small because nothing is known: while the fleet is not
measured the last number stays, and after a while there is none, so that KEDA's own fallback holds.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.operations.scaling.kubernetes import KubernetesSettings
from atomic_guide.operations.scaling.wishes import Wishes
from atomic_guide.web.routing import Call, Calls

if TYPE_CHECKING:
    from starlette.datastructures import Headers

calls = Calls()

LOST_SECONDS = 60.0
"""After so long without a measurement a fleet keeps one unit at least: four ticks of 15 s are no delay any more."""

AGAIN_SECONDS = 15.0
"""When to ask again where there is no number: a tick of scaling."""


class Count(msgspec.Struct, frozen=True):
    """How many units a fleet is wanted to have, when that was decided, and how old the newest measurement of it is."""

    fleet: str
    value: int
    decided_at: str
    age_seconds: float


class Wanted:
    """What KEDA may read."""

    def __init__(self, wishes: Wishes, clock: Clock, settings: KubernetesSettings) -> None:
        self._wishes = wishes
        self._clock = clock
        self._settings = settings

    def admits(self, headers: Headers) -> bool:
        """Whether a request carries KEDA's own token."""
        expected = self._settings.keda_token
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return (
            expected is not None
            and scheme.lower() == "bearer"
            and hmac.compare_digest(token.encode(), expected.encode())
        )

    async def of(self, fleet: str) -> Count:
        """The number for a fleet.

        Raises `NotFound` for one that KEDA does not scale, `Unavailable` where there is no number that still counts.
        """
        declared = self._settings.deployments.get(fleet)
        if declared is None or declared.writer != "keda":
            raise errors.NotFound(f"no fleet {fleet} is scaled by KEDA; the setting kubernetes.{fleet}.writer says so")
        wish = await self._wishes.of(fleet)
        if wish is None:
            raise errors.Unavailable(f"how many {fleet} are wanted is not known yet", retry_after=AGAIN_SECONDS)
        measured = await self._wishes.measured_at(fleet)
        age = max(self._clock.now() - max(measured or 0.0, wish.at), 0.0)
        if age > self._settings.keda_stale_seconds:
            raise errors.Unavailable(
                f"{fleet} were last measured {age:.0f} s ago, over kubernetes.keda_stale_seconds; the fallback holds",
                details={"fleet": fleet, "age_seconds": round(age, 1)},
                retry_after=AGAIN_SECONDS,
            )
        value = wish.units if age <= LOST_SECONDS else max(wish.units, 1)
        return Count(fleet, value, iso(wish.at), round(age, 1))


@calls.add("GET", "/api/ops/scaling/wanted/{fleet}", access="none", reply=Count, failures=(401, 404, 503))
async def show_wanted(call: Call[None]) -> Count:
    """Give KEDA the number of units that a fleet should have: with its own token, or the operator token."""
    wanted = call.tool.wanted
    if not wanted.admits(call.request.headers):
        await call.tool.operators.access.operator(call.request)
    return await wanted.of(call.request.path_params["fleet"])
