"""What may be done in a room, and for how long."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of rooms."""

    own_deletion_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=525_600,
            description="How long authors may delete their own messages; 0: never. A quarter of an hour is enough for a"
            " slip, and too short to take back what others have answered to.",
            extra={"unit": "min"},
        ),
    ] = 15
    live_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=1440,
            description="When a live session ends by itself: a double lecture with questions afterwards.",
            extra={"unit": "min"},
        ),
    ] = 240
