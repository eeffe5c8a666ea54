"""All triggers over gathered facts. Pure but for the time it takes: for a thread."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from atomic_guide.clock import iso
from atomic_guide.operations.costs.advise.assemble import Window, assemble
from atomic_guide.operations.costs.advise.fewer import fewer
from atomic_guide.operations.costs.advise.fleets import fleets
from atomic_guide.operations.costs.advise.model import Advices
from atomic_guide.operations.costs.advise.replicas import replicas
from atomic_guide.operations.costs.advise.storage import caching, classes
from atomic_guide.operations.costs.money import ZERO
from atomic_guide.operations.costs.report import NO_PRICES
from atomic_guide.operations.scaling.model import WEB, WORKERS

if TYPE_CHECKING:
    from atomic_guide.operations.costs.advise.gather import Gathered
    from atomic_guide.operations.costs.terms import Terms

LEAST_HOURS = Decimal(7 * 24)
"""A week must be measured: what is idle on a Sunday may be needed on a Monday."""


def advise(gathered: Gathered, terms: Terms, now: float) -> Advices:
    """What could be saved."""
    facts, usage, since = gathered
    window = Window(iso(now), iso(since), usage.hours)
    why = ""
    if not terms.known:
        why = NO_PRICES
    elif usage.hours < LEAST_HOURS:
        why = f"{usage.hours:.1f} h were measured in the window, and a week ({LEAST_HOURS} h) is needed"
    if why:
        return Advices(window.at, window.since, window.hours, terms.prices.currency, terms.prices.version, ZERO, ZERO,
                       ZERO, (), (), why)  # fmt: skip
    trials = {name: fewer(facts.fleets[name], facts.rooms) for name in (WEB, WORKERS) if name in facts.fleets}
    found = [*fleets(facts, trials), *replicas(facts), *caching(facts), *classes(facts, terms.prices)]
    return assemble(facts.state, terms.prices, found, window)
