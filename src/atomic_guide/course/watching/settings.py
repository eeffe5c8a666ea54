"""How events are taken in, counted and let go."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class EventSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events of lectures."""

    batch: Annotated[
        int,
        setting(
            "Events that are counted in one transaction, and that make counting begin at once.", "events", ge=1, le=1000
        ),
    ] = 100
    wait_seconds: Annotated[
        float,
        setting("How long fewer events than a batch wait for more, before they are counted.", "s", ge=0, le=60),
    ] = 1.0
    backlog: Annotated[
        int,
        setting(
            "Events of a course that may wait to be counted; the next are refused with 429. 20,000 are what"
            " 1,000 people send in three minutes, and are counted in some seconds.",
            "events",
            ge=100,
            le=10_000_000,
        ),
    ] = 20_000
    body_bytes: Annotated[
        int,
        setting(
            "A call with events: a hundred of them with every field at its limit are 40 KiB, and browsers send no more"
            " than this when a page is left.",
            "bytes",
            ge=1024,
            le=1 << 20,
        ),
    ] = 64 * 1024
    retry_seconds: Annotated[
        float,
        setting("When a sender whose events were refused should come again.", "s", ge=1, le=600),
    ] = 5.0
    keep_days: Annotated[
        int,
        setting(
            "How long a counted event is kept, by which a repeated one is known. An older one is refused, as it may"
            " have been counted before; a week covers a laptop that stood closed over a holiday.",
            "d",
            ge=1,
            le=90,
        ),
    ] = 7
