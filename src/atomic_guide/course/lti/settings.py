"""Settings of LTI."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.resilience import GuardSettings
from atomic_guide.setting import setting


class LtiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How launches are checked, and whom the tool may call."""

    login_seconds: Annotated[
        int,
        setting("How long a login may take, with a sign-in at the LMS.", "s", ge=30, le=3600),
    ] = 300
    pending_logins: Annotated[
        int,
        setting(
            "Most logins remembered; beyond it the oldest are forgotten, since a real one takes seconds"
            " and a refusal of new ones would let a flood shut everybody out.",
            "logins",
            ge=100,
            le=10_000_000,
        ),
    ] = 100_000
    logins_per_minute: Annotated[
        int,
        setting(
            "Logins that one address may begin in a minute; a lecture hall shares one address.",
            "logins/min",
            ge=1,
            le=1_000_000,
        ),
    ] = 1200
    clock_skew: Annotated[
        int,
        setting("How far the LMS's clock may be ahead when it dates a token.", "s", ge=0, le=60),
    ] = 60
    keyset_seconds: Annotated[
        int,
        setting(
            "Age at which a platform's key set is fetched anew, while the old one still serves.", "s", ge=60, le=86_400
        ),
    ] = 3600
    fetch_seconds: Annotated[
        float,
        setting("Time limit of each step of a call to an LMS.", "s", ge=0.1, le=30),
    ] = 5.0
    form_bytes: Annotated[
        int,
        setting(
            "Largest form that an LMS posts: a token of 64 KiB and its companions, percent-encoded.",
            "bytes",
            ge=8192,
            le=1 << 20,
        ),
    ] = 131_072
    token_bytes: Annotated[
        int,
        setting(
            "Largest token of a launch; the largest seen, from Canvas with every custom field, is under 10 KiB.",
            "bytes",
            ge=4096,
            le=1 << 20,
        ),
    ] = 65_536
    fetch_bytes: Annotated[
        int,
        setting("Largest answer taken from an LMS.", "B", ge=4096, le=16_777_216),
    ] = 262_144
    allow_loopback: Annotated[
        bool,
        setting("Call an LMS on this computer, also over plain http; development mode sets it.", "yes/no"),
    ] = False
    allow_networks: Annotated[
        tuple[str, ...],
        setting(
            "Private networks, such as 10.20.0.0/16, in which your LMS stands; all others are refused,"
            " so that a registration cannot make the tool call machines of your own.",
            "networks",
        ),
    ] = ()
    open_registration: Annotated[
        bool,
        setting("Let any LMS register itself without an invitation; development mode sets it.", "yes/no"),
    ] = False
    key_days: Annotated[
        int,
        setting("Age at which a new signing key of ours is made.", "d", ge=1, le=3650),
    ] = 90
    key_publish_seconds: Annotated[
        int,
        setting(
            "How long a new key is published before it signs, so that platforms' caches know it.", "s", ge=0, le=604_800
        ),
    ] = 86_400


class LmsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How calls of LMSs are bounded, for each service at each host."""

    keys: GuardSettings = GuardSettings(seconds=20.0)
    tokens: GuardSettings = GuardSettings(seconds=20.0)
    grades: GuardSettings = GuardSettings(seconds=20.0)
    roster: GuardSettings = GuardSettings(seconds=20.0, most=8)
    registration: GuardSettings = GuardSettings(seconds=20.0, most=4)
