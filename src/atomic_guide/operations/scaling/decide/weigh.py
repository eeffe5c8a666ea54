"""Precedence between wishes: the highest counts; fewer only where somebody lets go and nobody holds on."""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.fleet import of_units
from atomic_guide.operations.scaling.model import Rejected


class Weighed(NamedTuple):
    """How many units, by whose wish; what did not count, and why. `leave` is who said that fewer would do."""

    units: int
    wish: Wish
    leave: Leave | None = None
    rejected: tuple[Rejected, ...] = ()
    refused: tuple[Wish, ...] = ()
    """Wishes for more than stands that did not count."""


def weigh(heard: Heard, standing: int, loss: str) -> Weighed:
    """Weigh what was heard about a fleet that stands at so many units; `loss` says what is not measured of it."""
    refused = tuple(wish for wish in heard.wishes if wish.refused and wish.units > standing)
    counting = [wish for wish in heard.wishes if not wish.refused]
    top = max(counting, key=lambda wish: wish.units)
    rejected = [wish.rejected(wish.refused) for wish in refused if wish.units > top.units]
    if top.units >= standing:
        rejected += [
            wish.rejected(f"{top.rule} asks for more") for wish in counting if standing < wish.units < top.units
        ]
        rejected += [Rejected(_named(leave), f"{top.rule} keeps {top.units}") for leave in heard.leaves]
        return Weighed(top.units, top, None, tuple(rejected), refused)
    if loss:
        rejected += [
            Rejected(f"{of_units(leave.units)} by {leave.rule}: {leave.reason}", loss) for leave in heard.leaves
        ]
        return Weighed(standing, top, None, tuple(rejected), refused)
    if not heard.leaves:
        return Weighed(standing, top, None, tuple(rejected), refused)
    leave = min(heard.leaves, key=lambda one: one.units)
    units = min(max(top.units, leave.units), standing)
    if units > leave.units:
        rejected.append(Rejected(f"{of_units(leave.units)} by {leave.rule}", f"{top.rule} keeps {units}: {top.reason}"))
    return Weighed(units, top, leave, tuple(rejected), refused)


def _named(leave: Leave) -> str:
    return f"{of_units(leave.units)} by {leave.rule}: {leave.reason}"
