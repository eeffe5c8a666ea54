"""Puts the parts of LTI together."""

from __future__ import annotations

from ipaddress import ip_network

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.lti.addresses import Reach
from atomic_guide.course.lti.diagnosis import Diagnosis
from atomic_guide.course.lti.grades import Grades
from atomic_guide.course.lti.invitations import Invitations
from atomic_guide.course.lti.keysets import KeySets
from atomic_guide.course.lti.launch import Launches
from atomic_guide.course.lti.logins import Logins
from atomic_guide.course.lti.outbound import Outbound
from atomic_guide.course.lti.registration import Platforms
from atomic_guide.course.lti.roster import Roster
from atomic_guide.course.lti.settings import LmsSettings, LtiSettings
from atomic_guide.course.lti.signing import SigningKeys
from atomic_guide.course.lti.tokens import ServiceTokens
from atomic_guide.engines.data.database import Database
from atomic_guide.errors import ConfigurationError


class Lti(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that speaks LTI in one process."""

    settings: LtiSettings
    outbound: Outbound
    platforms: Platforms
    keysets: KeySets
    logins: Logins
    launches: Launches
    signing: SigningKeys
    invitations: Invitations
    roster: Roster
    grades: Grades
    diagnosis: Diagnosis

    async def prune(self) -> None:
        """Forget what has expired, and make a new signing key when it is time; called every half minute or so."""
        await self.logins.prune()
        await self.signing.rotate()

    async def close(self) -> None:
        """End calls that are under way."""
        await self.keysets.close()
        await self.outbound.close()


def build_lti(
    base_url: str, directory: Database, clock: Clock, settings: LtiSettings, bounds: LmsSettings | None = None
) -> Lti:
    """The parts over the directory database. Raises `ConfigurationError` naming a setting that cannot be."""
    outbound = Outbound(reach_of(settings), settings.fetch_seconds, settings.fetch_bytes, bounds=bounds)
    platforms = Platforms(directory, clock, outbound.reach)
    keysets = KeySets(outbound, clock, settings.keyset_seconds)
    logins = Logins(directory, clock, settings)
    signing = SigningKeys(directory, clock, settings)
    tokens = ServiceTokens(outbound, signing, clock)
    return Lti(
        settings=settings,
        outbound=outbound,
        platforms=platforms,
        keysets=keysets,
        logins=logins,
        launches=Launches(base_url.rstrip("/"), platforms, logins, keysets, clock, settings),
        signing=signing,
        invitations=Invitations(directory, clock),
        roster=Roster(outbound, tokens),
        grades=Grades(outbound, tokens),
        diagnosis=Diagnosis(outbound, tokens, clock, base_url.rstrip("/")),
    )


def reach_of(settings: LtiSettings) -> Reach:
    """Which machines the settings allow to call. Raises `ConfigurationError`."""
    for network in settings.allow_networks:
        try:
            ip_network(network)
        except ValueError as error:
            message = f"setting lti.allow_networks: {network!r} is no network such as 10.20.0.0/16 ({error})"
            raise ConfigurationError(message) from error
    return Reach(settings.allow_loopback, settings.allow_networks)
