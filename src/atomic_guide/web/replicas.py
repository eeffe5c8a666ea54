"""Replicas over HTTP, for operators. The same values as `atomic-guide replicas`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

import msgspec

from atomic_guide.operations.placement.replicas import HISTORY_SECONDS, ReplicaTold, told_replicas
from atomic_guide.operations.scaling.model import DATABASE
from atomic_guide.operations.scaling.series import FINEST, Series
from atomic_guide.operations.scaling.showing import Asked, Shown, measured
from atomic_guide.web.routing import Call, Calls

calls = Calls()

_LOOK_SECONDS = 5.0
"""How long the first look at the servers may take; each has a second to answer."""


class Replicas(msgspec.Struct, frozen=True):
    """Every replica as this process finds it; one that is `most_lag_seconds` behind answers nobody.

    Files (`engine` sqlite) have no replicas. `history` is the lag of each in the last hour, as scaling has recorded it:
    none before there is a record.
    """

    engine: Literal["sqlite", "postgresql"]
    most_lag_seconds: float
    replicas: list[ReplicaTold]
    history: list[Shown]


@calls.add("GET", "/api/ops/replicas", access="operator", reply=Replicas, failures=(401, 503))
async def list_replicas(call: Call[None]) -> Replicas:
    """List the replicas: health, lag, reads served, since when and why one gets no reads; and the lag of an hour."""
    shards, now = call.tool.shards, call.tool.clock.now()
    # One that has not been looked at by then says so of itself.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_SECONDS):
            await asyncio.gather(*(replicas.looked() for replicas in shards.replica_sets))
    found = await told_replicas(shards)
    series = Series(shards.directory)
    asked = Asked(now - HISTORY_SECONDS, now, DATABASE, "replica_lag", resolution=FINEST)
    history = await measured(series, asked) if found else []
    names = {one.replica for one in found}
    desk = call.tool.placement
    shown = [one.shown() for one in history if one.key.part in names]
    return Replicas("sqlite" if desk.embedded else "postgresql", desk.most_lag_seconds, found, shown)
