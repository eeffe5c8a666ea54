"""What may be done in a room, and for how long."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of rooms."""

    message_characters: Annotated[
        int,
        setting(
            "Characters of a message, counted after Unicode normalisation so that an accent counts once however it is"
            " sent.",
            "characters",
            ge=1,
            le=4000,
        ),
    ] = 4000
    pending_messages: Annotated[
        int,
        setting(
            "Messages of a process that may wait for the next commit of a shard; one takes about 1 kB, and they are"
            " stored in some seconds.",
            "messages",
            ge=1,
            le=1_000_000,
        ),
    ] = 20_000
    own_deletion_minutes: Annotated[
        int,
        setting(
            "How long authors may delete their own messages; 0: never. A quarter of an hour is enough for a"
            " slip, and too short to take back what others have answered to.",
            "min",
            ge=0,
            le=525_600,
        ),
    ] = 15
    live_minutes: Annotated[
        int,
        setting(
            "When a live session ends by itself: a double lecture with questions afterwards.", "min", ge=1, le=1440
        ),
    ] = 240
