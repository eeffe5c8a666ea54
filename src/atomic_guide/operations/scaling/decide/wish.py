"""What the parts of deciding say to one another: how many units somebody wants, and why."""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide.operations.scaling.fleet import of_units
from atomic_guide.operations.scaling.model import Action, Expected, Rejected, Urgency


class Wish(NamedTuple):
    """So many units at least. `refused` says why it cannot count, where it does not: then it only explains."""

    units: int
    rule: str
    reason: str
    urgency: Urgency = "medium"
    action: Action | None = None
    inputs: dict[str, float | None] = {}  # noqa: RUF012 - never changed
    expected: Expected | None = None
    refused: str = ""

    def rejected(self, why: str) -> Rejected:
        """The wish as an alternative that was not taken."""
        return Rejected(f"{of_units(self.units)} by {self.rule}: {self.reason}", why)


class Leave(NamedTuple):
    """Somebody says that fewer would do: no wish below it is needed for that."""

    units: int
    rule: str
    reason: str
    action: Action | None = None
    inputs: dict[str, float | None] = {}  # noqa: RUF012 - never changed
    refused: str = ""


class Heard(NamedTuple):
    """All that was said about one fleet at one tick."""

    wishes: tuple[Wish, ...] = ()
    leaves: tuple[Leave, ...] = ()
