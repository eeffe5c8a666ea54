"""What one process knows of the regions: which it stands in, which are well, which are drained, and what it chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from atomic_guide.regions.geo import Lookup
from atomic_guide.regions.health import Board
from atomic_guide.regions.routing import Asked, Choice, Reason, Sight, choose, sight
from atomic_guide.regions.settings import RegionSettings, RegionsSettings, Role

_NOWHERE = frozenset({"XX", "T1"})
"""What Cloudflare sends for addresses of no known country, and of Tor."""


class Here:
    """The regions as seen from the one that this process stands in; `own` is None where none is declared.

    `zone_of(tenant)` says where a tenant is kept. `lookup` knows the country of an address.
    `bucket_in` is the region of the bucket that keeps lectures, empty where that says none; None where no bucket does.
    """

    def __init__(
        self,
        settings: RegionsSettings,
        own: str,
        zone_of: Callable[[str], str],
        lookup: Lookup | None = None,
        bucket_in: str | None = None,
    ) -> None:
        self.settings = settings
        self.own: RegionSettings | None = settings.named(own)
        self.zone_of = zone_of
        self.board = Board(settings.probes, [one.name for one in settings.declared if one.name != own])
        self.drained: frozenset[str] = frozenset()
        self.chosen: Counter[tuple[str, Reason]] = Counter()
        """Choices since the process began, by the region's name (empty for none) and the reason."""
        self.seen: Counter[tuple[str, str]] = Counter()
        """Logins since the process began, by the nearest region and how the country was known."""
        self._lookup = lookup
        self._bucket_in = bucket_in

    @property
    def away(self) -> frozenset[str]:
        """The regions that requests do not go to: not well, or drained."""
        return self.board.away | self.drained

    def see(self, header: str | None, address: str) -> Sight:
        """Where a request comes from: by the country that a trusted proxy names, else by its address."""
        code = (header or "").strip().upper()
        if code and code not in _NOWHERE:
            found = sight(self.settings, code, "header")
            if found.country is not None:
                return found
        return sight(self.settings, self._lookup(address) if self._lookup is not None else None, "address")

    def choose(self, seen: Sight, asked: Asked) -> Choice:
        """The region for a request that has come here; counted. Only where regions are declared."""
        if self.own is None:
            raise ValueError("no region is declared")
        choice = choose(self.own, seen, asked, self.away)
        self.chosen[choice.region.name if choice.region else "", choice.reason] += 1
        return choice

    def does(self, role: Role) -> bool:
        """Whether this process's region does a kind of work; all of it where none is declared."""
        return self.own is None or role in self.own.roles

    def does_jobs(self, role: Role) -> bool:
        """Whether the jobs of a kind of work are done here: those of lectures where the bucket is that keeps them.

        Several regions may take uploads into it; their bytes would pass twice more if each made lectures of them.
        """
        elsewhere = self.own is not None and bool(self._bucket_in) and self._bucket_in != self.own.name
        return self.does(role) and not (role == "media" and elsewhere)

    @property
    def shares_uploads(self) -> bool:
        """Whether what was uploaded lies where every region of the zone that takes uploads reaches it."""
        return self._bucket_in is not None

    def keeps(self, zone: str) -> bool:
        """Whether a zone may be kept where this process stands."""
        return self.own is None or zone in self.own.zones

    def able(self, zone: str, role: Role = "web") -> Iterable[RegionSettings]:
        """The regions that may answer for a zone."""
        return [one for one in self.settings.declared if zone in one.zones and role in one.roles]


NOWHERE = Here(RegionsSettings(), "", lambda _tenant: "")
"""What a process knows where no region is declared."""
