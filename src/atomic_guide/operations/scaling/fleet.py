"""How much of one component runs, and who says how much should. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Fleet(NamedTuple):
    """Units that are ready and that start; how many there may be; units of work a second that one of them does.

    `measure` is what the work is counted in, for people.
    """

    ready: int
    starting: int
    least: int
    most: int
    unit: float
    measure: str = ""

    @property
    def coming(self) -> int:
        """What will be ready when all has started."""
        return self.ready + self.starting

    def work(self, amount: float) -> str:
        """An amount of work, as people say it."""
        return f"{amount:,.4g} {self.measure}".rstrip()

    def bounded(self, count: float) -> int:
        """A count within the bounds."""
        return int(min(max(count, self.least), self.most))


def of_units(count: int, does: str = "", do: str = "") -> str:
    """So many units, with what one does or several do: "1 unit is kept"."""
    return f"1 unit {does}".rstrip() if count == 1 else f"{count} units {do}".rstrip()


class Choice(NamedTuple):
    """How many units there should be, and why, in words for people."""

    units: int
    reason: str


class Policy(Protocol):
    """Decides at each tick from what came before it; one object for one component, told everything once in order."""

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """What should run now.

        `at` is the time in epoch seconds, `demand` the units of work per second of the tick that has just ended, None
        where it was not measured: no policy may read that as zero.
        """
        ...
