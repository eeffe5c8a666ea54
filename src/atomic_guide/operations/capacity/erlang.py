"""Waiting for one of several servers: Erlang's formulas, stable up to a hundred thousand servers. Pure.

    B(c, a) by 1/B_n = 1 + n/a 1/B_(n-1)            (Erlang, 1917; the recursion in the form of Jagerman, 1974)
    C(c, a) = B / (1 - r (1 - B)),  r = a / c       the share that waits
    P(wait > t) = C exp(-(c - a) t / (S f))         a = arrivals a second times S seconds of service

f = 1 for arrivals and services that vary as exponential ones do (M/M/c). Others are corrected as Allen and Cunneen do
(Allen, "Probability, Statistics, and Queueing Theory", 1990, ch. 5.3; the tail as in Whitt, "Approximations for the
GI/G/m queue", 1993): f = (ca^2 + cs^2) / 2, of the coefficients of variation of gaps between arrivals and of services.
Exact for M/M/c and for the mean wait of M/G/1, else an approximation, best where many wait.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from atomic_guide.errors import Invalid

MOST_SERVERS = 100_000
"""A twentieth of a second of the recursion; nobody runs more of one kind in one place."""


class Load(NamedTuple):
    """What comes: arrivals in a second, mean seconds of service, and squared coefficients of variation."""

    rate: float
    service: float
    arrivals_varying: float = 1.0
    services_varying: float = 1.0

    @property
    def erlangs(self) -> float:
        """Servers that are busy in the mean: as many as it takes at least."""
        return self.rate * self.service

    @property
    def correction(self) -> float:
        """How much longer who waits waits than with exponential gaps and services."""
        return (self.arrivals_varying + self.services_varying) / 2


class Wait(NamedTuple):
    """What so many servers make of a load; `waiting` is the share that waits at all."""

    servers: int
    waiting: float
    load: Load

    @property
    def utilisation(self) -> float:
        """The share of the servers that is busy in the mean."""
        return self.load.erlangs / self.servers

    @property
    def lasting(self) -> float:
        """The mean wait of those that wait, in seconds."""
        return self.load.service * self.load.correction / (self.servers - self.load.erlangs)

    @property
    def mean(self) -> float:
        """The mean wait of all, in seconds."""
        return self.waiting * self.lasting

    def over(self, seconds: float) -> float:
        """The share that waits longer."""
        return self.waiting * math.exp(-seconds / self.lasting) if self.lasting else 0.0

    def quantile(self, share: float) -> float:
        """The wait in seconds that this share does not pass."""
        if not 0 <= share < 1:
            raise Invalid(f"a share is from 0 to below 1, not {share:g}")
        return self.lasting * max(0.0, math.log(self.waiting / (1 - share))) if self.waiting else 0.0


def blocked(servers: int, erlangs: float) -> float:
    """Erlang B: the share that finds all servers busy where nobody may wait."""
    _check(Load(erlangs, 1.0), servers)
    inverse = 1.0
    for number in range(1, servers + 1):
        inverse = 1 + number / erlangs * inverse if erlangs else math.inf
    return 1 / inverse


def waiting(servers: int, erlangs: float) -> float:
    """Erlang C: the share that waits; all where the servers do not keep up."""
    return _waiting(blocked(servers, erlangs), servers, erlangs)


def wait(servers: int, load: Load) -> Wait:
    """How long is waited. Raises `Invalid` where the servers do not keep up, since the queue then only grows."""
    _check(load, servers)
    if load.erlangs >= servers:
        raise Invalid(
            f"{servers} servers do not keep up with {load.rate:g} arrivals a second of {load.service:g} s each: at"
            f" least {math.floor(load.erlangs) + 1} are needed"
        )
    return Wait(servers, waiting(servers, load.erlangs), load)


def servers_needed(load: Load, seconds: float, share: float) -> int:
    """The fewest servers with which this share waits at most so many seconds.

    Raises `Invalid` for what is no load, time or share, and where it takes over a hundred thousand.
    """
    _check(load, 1)
    if not (math.isfinite(seconds) and seconds >= 0 and 0 < share < 1):
        raise Invalid(f"a wait is 0 s or more and a share between 0 and 1, not {seconds:g} s and {share:g}")
    erlangs, inverse = load.erlangs, 1.0
    if not erlangs:
        return 1
    for number in range(1, MOST_SERVERS + 1):
        inverse = 1 + number / erlangs * inverse
        if number > erlangs:
            longer = math.exp(-seconds * (number - erlangs) / (load.service * load.correction or 1e-300))
            if _waiting(1 / inverse, number, erlangs) * longer <= 1 - share:
                return number
    raise Invalid(f"that takes over {MOST_SERVERS:,} servers; divide the load over several queues")


def _waiting(blocked_share: float, servers: int, erlangs: float) -> float:
    if erlangs >= servers:
        return 1.0
    return blocked_share / (1 - erlangs / servers * (1 - blocked_share))


def _check(load: Load, servers: int) -> None:
    names = ("arrivals a second", "seconds of service", "variation of arrivals", "variation of services")
    for name, value in zip(names, load, strict=True):
        if not (math.isfinite(value) and value >= 0):
            raise Invalid(f"{name} must be a number of 0 or more, not {value:g}")
    if not load.service:
        raise Invalid("seconds of service must be over 0")
    if not 1 <= servers <= MOST_SERVERS:
        raise Invalid(f"there are 1 to {MOST_SERVERS:,} servers, not {servers:,}")
