"""How long acts and operators may take: the settings `scaling.acts.*`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.operations.scaling.model import REPLICAS, SHARDS
from atomic_guide.setting import setting


class ActSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long what takes."""

    act_seconds: Annotated[
        float,
        setting("When an act on processes that has not come about is taken back; a start takes seconds to a minute.",
                "s", ge=5, le=86_400),
    ] = 180.0  # fmt: skip
    replica_seconds: Annotated[
        float,
        setting("The same for a replica, which copies its shard first: 100 GB take half an hour.", "s", ge=5,
                le=86_400),
    ] = 3600.0  # fmt: skip
    shard_seconds: Annotated[
        float,
        setting("The same for a shard, to or from which courses move while they are used.", "s", ge=5, le=604_800),
    ] = 21_600.0
    approval_seconds: Annotated[
        float,
        setting("How long a decision waits for an operator; later its figures are old. A refusal keeps the like of it"
                " away for as long.", "s", ge=10, le=86_400),
    ] = 1800.0  # fmt: skip

    def limit(self, fleet: str) -> float:
        """Seconds until an act on a fleet is taken back."""
        if fleet == SHARDS:
            return self.shard_seconds
        return self.replica_seconds if fleet.startswith(REPLICAS) else self.act_seconds
