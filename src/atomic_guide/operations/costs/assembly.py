"""Everything that speaks of costs over one installation: for commands, for HTTP, and for the leader's chores."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import from_iso
from atomic_guide.errors import NotFound
from atomic_guide.operations.costs.advise.advising import advise
from atomic_guide.operations.costs.advise.gather import gather
from atomic_guide.operations.costs.advise.model import Advice, Advices
from atomic_guide.operations.costs.changes import CHANGE, Applied, Changes, Entry
from atomic_guide.operations.costs.days import Days
from atomic_guide.operations.costs.report import Report, make_report
from atomic_guide.operations.costs.terms import Terms, made_terms, terms_in_force
from atomic_guide.operations.costs.verdict import Verdict, judge
from atomic_guide.operations.operators.approvals import ALONE, Approval, Voter, agreed
from atomic_guide.operations.scaling.series import Series

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.costs.settings import CostSettings
    from atomic_guide.operations.scaling.settings import ScalingSettings

REPORT_DAYS = 30
"""Of a report that is not asked for another span."""

_FRESH_SECONDS = 300.0
"""How long recommendations are good for others who ask: they are made from weeks, and take a second to make."""

_CLOSE_SECONDS = 300.0


class Explained(msgspec.Struct, frozen=True):
    """A recommendation, or a change that is in force, with what was done of it.

    `verdict` is what it has saved until now, where it is in force.
    """

    advice: Advice
    applied_at: str | None
    who: str
    verdict: Verdict | None
    audit: list[Entry]


class Planned(msgspec.Struct, frozen=True):
    """What applying would do, or has done: `applied` says which."""

    applied: bool
    advice: Advice
    applied_at: str | None = None
    who: str = ""
    approvals: list[Approval] = []
    """Who agreed so far, the first first, where it takes more than one."""
    needed: int = 1
    """How many operators it takes."""


class Costs:
    """The costs of an installation."""

    def __init__(self, shards: Shards, clock: Clock, terms: Terms, cool_class: str | None = None) -> None:
        self.clock = clock
        self.settled = terms
        """The terms of the settings."""
        self.series = Series(shards.directory)
        self._shards = shards
        self._cool_class = cool_class
        self._directory = shards.directory
        self._advices: Advices | None = None
        self._advised_at = -math.inf
        self._advised_with = ""
        self._advising = asyncio.Lock()
        self._closed_at = -math.inf

    async def terms(self) -> Terms:
        """What is reckoned with now."""
        return await terms_in_force(self._directory, self.settled)

    async def report(self, days: int = REPORT_DAYS) -> Report:
        """What was and is paid, what for, and what the month will come to. Raises `Invalid`."""
        return await make_report(self._directory, self.series, await self.terms(), self.clock.now(), days)

    async def recommendations(self, *, fresh: bool = False) -> Advices:
        """What could be saved; at most five minutes old unless it is to be `fresh`."""
        async with self._advising:
            terms = await self.terms()
            fresh = fresh or self._advised_with != terms.prices.version
            if fresh or self._advices is None or self.clock.monotonic() - self._advised_at >= _FRESH_SECONDS:
                now = self.clock.now()
                found = await gather(self._shards, self.series, terms, self._cool_class, now)
                self._advices = await asyncio.to_thread(advise, found, terms, now)
                self._advised_at, self._advised_with = self.clock.monotonic(), terms.prices.version
            return self._advices

    async def explain(self, advice_id: str) -> Explained:
        """All about a recommendation or a change. Raises `NotFound`."""
        changes = self._changes()
        audit = await changes.entries(advice_id)
        applied = await changes.find(advice_id)
        if applied is not None:
            verdict = applied.verdict or await self.verdict(applied)
            return Explained(applied.advice, applied.applied_at, applied.who, verdict, audit)
        return Explained(await self._find(advice_id), None, "", None, audit)

    async def apply(self, advice_id: str, who: str, *, approved: bool, voter: Voter = ALONE) -> Planned:
        """Do what a recommendation says, where it is `approved`; else only say what would be done. Again is harmless.

        Where it takes two, the first is noted and the second has it done; `voter` says which person `who` is.
        Raises `NotFound` for what is not recommended (any more), and as `Changes.apply`.
        """
        changes = self._changes(who)
        known = await changes.find(advice_id)
        if known is None:
            advice = await self._find(advice_id, fresh=approved)
            known = await changes.apply(advice, voter) if approved else None
            if known is None:
                votes = await agreed(self._directory, CHANGE, voter.needed)
                given = votes.given.get(advice_id, [])
                return Planned(applied=False, advice=advice, approvals=given, needed=votes.needed)
            self._advices = None
        return Planned(applied=True, advice=known.advice, applied_at=known.applied_at, who=known.who)

    async def rollback(self, change_id: str, who: str) -> bool:
        """Put back exactly what there was before a change; whether it was in force. Raises as `Changes.rollback`."""
        done = await self._changes(who).rollback(change_id)
        self._advices = None
        return done

    async def changes(self) -> list[Applied]:
        """What is in force."""
        return await self._changes().all()

    async def audit(self, limit: int) -> list[Entry]:
        """What was done, the newest first."""
        return await self._changes().entries(limit=limit)

    async def verdict(self, applied: Applied) -> Verdict:
        """What a change has saved until now."""
        terms = await self.terms()
        return await judge(self.series, terms, applied.advice, from_iso(applied.applied_at), self.clock.now())

    async def tend(self) -> None:
        """Close days that have ended and judge changes whose time has passed; for whoever leads. Again is harmless."""
        if self.clock.monotonic() - self._closed_at < _CLOSE_SECONDS:
            return
        await Days(self._directory, self.series, await self.terms()).close(self.clock.now())
        changes = self._changes("leader")
        for applied in await changes.all():
            if applied.verdict is None and (found := await self.verdict(applied)).final:
                await changes.judged(applied.id, found)
        self._closed_at = self.clock.monotonic()

    def _changes(self, who: str = "operator") -> Changes:
        return Changes(self._directory, self.clock, who, self.settled.costs.most_audit)

    async def _find(self, advice_id: str, *, fresh: bool = False) -> Advice:
        found = await self.recommendations(fresh=fresh)
        for one in found.recommendations:
            if one.id == advice_id:
                return one
        known = ", ".join(one.id for one in found.recommendations) or "none"
        raise NotFound(f"{advice_id} is not recommended; there are: {known}")


def build_costs(
    shards: Shards, clock: Clock, scaling: ScalingSettings, costs: CostSettings, cool_class: str | None = None
) -> Costs:
    """Over open databases; `cool_class` is what the main store calls its cool class, empty where it says none.

    Raises `Invalid` or `NotFound` where the price list cannot be used.
    """
    return Costs(shards, clock, made_terms(scaling, costs), cool_class)
