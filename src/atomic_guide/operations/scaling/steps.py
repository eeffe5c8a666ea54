"""What comes next in an act, from what is known of it and what is seen of its fleet. Pure.

The same question is asked by the leader that began the act and by one that found it: nothing is known of an act but its
row and its fleet, so there is nothing that a new leader would have to be told.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from atomic_guide.operations.scaling.fleet import Fleet

What = Literal["ask", "wait", "done", "turn_back", "ask_back", "returned", "failed"]


class Act(NamedTuple):
    """An act: its step, the counts it leads from and to, and how much of its time has passed, in seconds."""

    step: str
    before: int
    after: int
    elapsed: float
    limit: float

    @property
    def grows(self) -> bool:
        """Whether it adds units."""
        return self.after > self.before

    def is_foreign(self, fleet: Fleet) -> bool:
        """Whether somebody else has changed the fleet: a count that does not lie on this act's way."""
        low, high = sorted((self.before, self.after))
        return not low <= fleet.coming <= high

    def has_arrived(self, fleet: Fleet) -> bool:
        """Whether it has done what it should: as many are ready, or no more are left."""
        return fleet.ready >= self.after if self.grows else fleet.coming <= self.after


class Next(NamedTuple):
    """What to do, and why where that is not the plain way."""

    what: What
    why: str = ""


def advise(act: Act, fleet: Fleet | None) -> Next:
    """The next thing to do; `fleet` is None where the target cannot tell.

    Forwards for `limit` seconds, then back for as many; never forwards again once it goes back.
    """
    if fleet is None:
        if act.elapsed < 2 * act.limit:
            return Next("wait")
        return Next("failed", f"the target could not be looked at for {act.elapsed:.0f} s; look at it by hand")
    return _back(act, fleet) if act.step == "returning" else _forth(act, fleet)


def _forth(act: Act, fleet: Fleet) -> Next:
    if act.has_arrived(fleet):
        return Next("done")
    if act.is_foreign(fleet):
        why = f"neither {act.before} nor {act.after} nor between; left as it is"
        return Next("failed", f"somebody else has changed the fleet: {fleet.coming} units, which is {why}")
    if act.elapsed >= act.limit:
        so_far = f"{fleet.ready} ready and {fleet.starting} starting"
        return Next("turn_back", f"{so_far} of {act.after} after {act.elapsed:.0f} s")
    return Next("ask" if act.step == "asking" else "wait")


def _back(act: Act, fleet: Fleet) -> Next:
    if fleet.coming == act.before:
        return Next("returned")
    if act.is_foreign(fleet):
        return Next("failed", f"somebody else has changed the fleet to {fleet.coming} units; left as it is")
    if act.elapsed >= 2 * act.limit:
        return Next("failed", f"not back at {act.before} units after {act.elapsed:.0f} s, but at {fleet.coming}")
    return Next("ask_back")
