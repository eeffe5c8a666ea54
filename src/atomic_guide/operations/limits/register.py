"""The limits of one process: how much of each is used, was used at most, and how often it has refused.

Nothing is counted here on the way of a request. Whoever looks (a scrape, the process's report each 15 s) asks what
counts anyway; see atomic_guide/limit.py. A level that reaches 80%, and any limit that refuses, is told of once in the
log, and again only after it has been below 70%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import structlog

from atomic_guide.limit import Limit, Used

_log = structlog.get_logger(__name__)

CALM = 0.7
"""The share below which it is not any more: what swings about the bound is told of once."""

Gauge = Callable[[], Iterable[Used]]


class Standing(NamedTuple):
    """A limit as it is used: `value` of `most` in the part that is fullest, `high` the largest share so far."""

    limit: Limit
    value: float
    most: float
    part: str
    high: float

    @property
    def share(self) -> float:
        """How much of it is used; over 1 where more was asked for than there is."""
        return share_of(self.value, self.most)


class Register:
    """Every limit, in the order in which pages list them; `values` are those of their settings, by limit."""

    def __init__(self, limits: Sequence[Limit], values: Mapping[str, float], monotonic: Callable[[], float]) -> None:
        self.limits = tuple(limits)
        self.values = values
        self._monotonic = monotonic
        self._gauges: list[Gauge] = []
        self._high: dict[str, float] = {}
        self._near: set[str] = set()
        self._refused = {limit.name: limit.refused for limit in limits}

    def add(self, gauge: Gauge) -> None:
        """Ask a part of the process, too, what it uses."""
        self._gauges.append(gauge)

    def look(self) -> list[Standing]:
        """The limits whose use is known here, as it is now."""
        fullest: dict[str, Used] = {}
        for used in self._all_used():
            known = fullest.get(used.limit.name)
            if known is None or self._share(used) > self._share(known):
                fullest[used.limit.name] = used
        return [self._noted(fullest[limit.name]) for limit in self.limits if limit.name in fullest]

    def _all_used(self) -> Iterable[Used]:
        now = self._monotonic()
        for limit in self.limits:
            if limit.about == "size":
                yield Used(limit, limit.recent(now))
        for gauge in self._gauges:
            try:
                yield from gauge()
            except Exception as error:  # noqa: BLE001 - one part that cannot tell must not hide the others
                _log.warning("what a part uses of its limits is not known", error=repr(error))

    def _noted(self, used: Used) -> Standing:
        limit, share = used.limit, self._share(used)
        refused = limit.refused > self._refused.get(limit.name, 0)
        if refused:
            # It was full since the last look, though what is spent of a minute may have come back already.
            self._refused[limit.name] = limit.refused
            share = max(share, 1.0)
        high = self._high[limit.name] = max(share, self._high.get(limit.name, 0.0))
        self._warn(used, share, near=refused or limit.near(share))
        return Standing(limit, used.value, self._most(used), used.part, high)

    def _warn(self, used: Used, share: float, *, near: bool) -> None:
        name = used.limit.name
        told = {"limit": name, "use": round(share, 3), "setting": used.limit.key or "fixed"}
        if near and name not in self._near:
            self._near.add(name)
            _log.warning("limit nearly reached", **told, **({"part": used.part} if used.part else {}))
        elif share < CALM and name in self._near:
            self._near.remove(name)
            _log.info("limit has room again", **told)

    def _most(self, used: Used) -> float:
        return used.most if used.most is not None else self.values.get(used.limit.name, 0.0)

    def _share(self, used: Used) -> float:
        return share_of(used.value, self._most(used))


def share_of(value: float, most: float) -> float:
    """The share that a value is of its limit; of none at all, everything is all of it."""
    if most <= 0:
        return 1.0 if value > 0 else 0.0
    return max(0.0, value / most)
