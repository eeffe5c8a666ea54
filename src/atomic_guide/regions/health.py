"""Which regions are well, from probes, with hysteresis. Pure: the caller says what was found, and when.

A region counts as away after `down` failures in a row and as well after `up` answers in a row, so that one lost
packet moves nobody, and a region that comes and goes is not gone back to each time. At first each is thought well.
"""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide.regions.settings import ProbeSettings


class Found(NamedTuple):
    """What a probe has found of a region: whether it answered that it can serve, in which time, and else why not."""

    region: str
    well: bool
    ms: float
    why: str = ""


class Turn(NamedTuple):
    """A region has gone away, or come back."""

    region: str
    well: bool
    at: float
    why: str


class Standing(NamedTuple):
    """What is known of a region. `in_a_row` are the answers or failures at the end, `since` when it last turned."""

    well: bool = True
    in_a_row: int = 0
    answered: bool = True
    ms: float = 0.0
    why: str = ""
    at: float = 0.0
    since: float = 0.0


class Board:
    """What is known of every region that is looked at."""

    def __init__(self, settings: ProbeSettings, regions: list[str]) -> None:
        self._settings = settings
        self._standings = {name: Standing() for name in regions}

    @property
    def standings(self) -> dict[str, Standing]:
        """By region."""
        return dict(self._standings)

    @property
    def away(self) -> frozenset[str]:
        """The regions that requests do not go to."""
        return frozenset(name for name, one in self._standings.items() if not one.well)

    def note(self, found: Found, at: float) -> Turn | None:
        """Take in what a probe has found; the turn that came of it, if one did. Unknown regions are passed over."""
        before = self._standings.get(found.region)
        if before is None:
            return None
        in_a_row = before.in_a_row + 1 if before.answered == found.well and before.at else 1
        needed = self._settings.up if found.well else self._settings.down
        turns = found.well != before.well and in_a_row >= needed
        self._standings[found.region] = Standing(
            well=found.well if turns else before.well,
            in_a_row=in_a_row,
            answered=found.well,
            ms=found.ms,
            why=found.why,
            at=at,
            since=at if turns else before.since,
        )
        return Turn(found.region, found.well, at, found.why) if turns else None
