"""A sum by name whose names are bounded: who comes late is counted among the others."""

from __future__ import annotations

OTHERS = "others"


class Tally:
    """Sums since a process's start, of at most `most` names; the rest together are `others`."""

    def __init__(self, most: int = 200) -> None:
        """200 names are 10 kB of a report each 15 s; an installation has a few tenants, rarely dozens."""
        self._most = most
        self._sums: dict[str, float] = {}
        self._others = 0.0

    def add(self, name: str, amount: float) -> None:
        """Add to a name's sum."""
        if name in self._sums:
            self._sums[name] += amount
        elif len(self._sums) < self._most and name != OTHERS:
            self._sums[name] = amount
        else:
            self._others += amount

    def sums(self) -> dict[str, float]:
        """All sums; `others` only where there are some."""
        return {**self._sums, OTHERS: self._others} if self._others else dict(self._sums)
