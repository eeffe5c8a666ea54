"""Settings of LTI."""

from __future__ import annotations

from typing import Annotated

import msgspec


class LtiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How launches are checked, and whom the tool may call."""

    login_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=30, le=3600, description="How long a login may take, with a sign-in at the LMS.", extra={"unit": "s"}
        ),
    ] = 300
    pending_logins: Annotated[
        int,
        msgspec.Meta(
            ge=100,
            le=10_000_000,
            description="Most logins remembered; beyond it the oldest are forgotten, since a real one takes seconds"
            " and a refusal of new ones would let a flood shut everybody out.",
            extra={"unit": "logins"},
        ),
    ] = 100_000
    logins_per_minute: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=1_000_000,
            description="Logins that one address may begin in a minute; a lecture hall shares one address.",
            extra={"unit": "logins/min"},
        ),
    ] = 1200
    clock_skew: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=60, description="How far the LMS's clock may be ahead when it dates a token.", extra={"unit": "s"}
        ),
    ] = 60
    keyset_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=60,
            le=86_400,
            description="Age at which a platform's key set is fetched anew, while the old one still serves.",
            extra={"unit": "s"},
        ),
    ] = 3600
    fetch_seconds: Annotated[
        float,
        msgspec.Meta(ge=0.1, le=30, description="Time limit of each step of a call to an LMS.", extra={"unit": "s"}),
    ] = 5.0
    fetch_bytes: Annotated[
        int,
        msgspec.Meta(ge=4096, le=16_777_216, description="Largest answer taken from an LMS.", extra={"unit": "B"}),
    ] = 262_144
    allow_loopback: Annotated[
        bool,
        msgspec.Meta(
            description="Call an LMS on this computer, also over plain http; development mode sets it.",
            extra={"unit": "yes/no"},
        ),
    ] = False
    allow_networks: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Private networks, such as 10.20.0.0/16, in which your LMS stands; all others are refused,"
            " so that a registration cannot make the tool call machines of your own.",
            extra={"unit": "networks"},
        ),
    ] = ()
    open_registration: Annotated[
        bool,
        msgspec.Meta(
            description="Let any LMS register itself without an invitation; development mode sets it.",
            extra={"unit": "yes/no"},
        ),
    ] = False
    key_days: Annotated[
        int,
        msgspec.Meta(ge=1, le=3650, description="Age at which a new signing key of ours is made.", extra={"unit": "d"}),
    ] = 90
    key_publish_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=604_800,
            description="How long a new key is published before it signs, so that platforms' caches know it.",
            extra={"unit": "s"},
        ),
    ] = 86_400
