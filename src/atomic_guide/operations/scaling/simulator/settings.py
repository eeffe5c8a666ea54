"""Settings of the simulator: how much of a server a replay may take."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class SimulatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What replays that are asked for over HTTP may take; the command has none of these limits."""

    running: Annotated[
        int,
        setting(
            "Simulations that run at the same time in one process; each takes a core, with the lowest priority.",
            "simulations",
            ge=1,
            le=16,
        ),
    ] = 1
    seconds: Annotated[
        float,
        setting(
            "When a simulation that has not ended is broken off. Two weeks under all policies take half a minute.",
            "s",
            ge=1,
            le=3600,
        ),
    ] = 120.0
    most_ticks: Annotated[
        int,
        setting(
            "Ticks of the demand, counted for each policy: two weeks of 15 s under all eight are 645,000.",
            "ticks",
            ge=1000,
            le=20_000_000,
        ),
    ] = 1_000_000
