"""Puts the parts of operators together."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.course.lti.addresses import Reach
from atomic_guide.course.lti.keysets import KeySets
from atomic_guide.course.lti.outbound import Outbound
from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.operators.audit import Audit
from atomic_guide.operations.operators.logins import Logins
from atomic_guide.operations.operators.people import People
from atomic_guide.operations.operators.sessions import OperatorSessions
from atomic_guide.operations.operators.settings import client_secret
from atomic_guide.web.access import OperatorAccess
from atomic_guide.web.live import Live
from atomic_guide.web.oidc import Provider
from atomic_guide.web.operators import Operators, ways

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.database import Database

_REMEDY = "if your provider stands there, allow it with the setting operators.allow_networks"


def made_operators(
    settings: Settings, directory: Database, clock: Clock, token: str, where: tuple[str, bool]
) -> Operators:
    """What a process knows of operators; `token` is theirs.

    `where` is what browsers call the installation, and whether a provider on this computer is allowed, as in
    development. Raises `ConfigurationError` naming a setting that cannot be.
    """
    chosen, (url, loopback) = settings.operators, where
    sessions = OperatorSessions(directory, clock, chosen, token)
    return Operators(
        settings=chosen,
        access=OperatorAccess(sessions, clock, chosen, token, msgspec.to_builtins(ways(chosen))),
        sessions=sessions,
        people=People(directory, clock),
        logins=Logins(directory, clock, chosen),
        audit=Audit(directory, clock, chosen),
        live=Live(chosen, sessions),
        provider=_provider(settings, clock, loopback=loopback) if chosen.issuer else None,
        directory=directory,
        clock=clock,
        url=url.rstrip("/"),
    )


def _provider(settings: Settings, clock: Clock, *, loopback: bool) -> Provider:
    lti, operators = settings.lti, settings.operators
    for network in operators.allow_networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ConfigurationError(
                f"setting operators.allow_networks: {network!r} is no network such as 10.20.0.0/16 ({error})"
            ) from error
    # Read now, so that a file that is not there is heard of at start.
    client_secret(operators)
    reach = Reach(loopback, operators.allow_networks, "the provider", _REMEDY)
    outbound = Outbound(reach, lti.fetch_seconds, lti.fetch_bytes, bounds=settings.resilience.lms)
    return Provider(operators, outbound, KeySets(outbound, clock, lti.keyset_seconds), clock)
