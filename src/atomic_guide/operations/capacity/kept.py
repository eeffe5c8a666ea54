"""What is kept: lectures and databases on a disk, memory that grows with the people who are there."""

from __future__ import annotations

import numpy as np

from atomic_guide.operations.capacity.component import Component, Table
from atomic_guide.operations.capacity.growth import Growth
from atomic_guide.operations.capacity.record import inflow
from atomic_guide.operations.capacity.sight import TOO_LITTLE, Lacking, Part, Sight, loaded
from atomic_guide.operations.capacity.spread import Spread
from atomic_guide.operations.scaling.metric import FEW
from atomic_guide.operations.scaling.model import ROOMS, WEB, Key

_FEW_SOCKETS = 1000
"""Fewer take less memory, at some kilobytes each, than processes come and go by at rest."""

_TABLE_REACH = 200.0
"""How many times the sockets of now memory is drawn out for; evidence ends long before."""


async def storage(sight: Sight) -> Part:
    """Lectures and databases on one disk; what is elsewhere has no capacity that is known here."""
    record = sight.record
    stored, databases = await record.daily(Key("costs", "stored")), await record.daily(Key("costs", "database_bytes"))
    known = np.flatnonzero(~np.isnan(stored))
    if not len(known):
        return Lacking("storage", "what lectures and databases take is not on record")
    total = stored if np.isnan(databases).all() else stored + databases
    grows = inflow(total)
    if grows is None:
        return Lacking("storage", "there are not two weeks of what lectures and databases take on record")
    now = float(total[~np.isnan(total)][-1])
    space = sight.installed.space
    lectures = sight.installed.drivers.get("lectures", 0)
    mean = f"a lecture takes {float(stored[known[-1]]) / max(lectures, 1) / 1e6:,.0f} MB in the mean"
    each = (mean,) if lectures >= FEW else ()
    return Component(
        name="storage", what="lectures and databases, of what other files leave them", unit="bytes", driver="lectures",
        need=Spread.exactly(now),
        size=Spread.exactly(space) if space is not None else None, units=1, ceiling=1, kind="add_storage",
        history=float(len(stored) - known[0]), inflow=grows, billed="storage",
        notes=each if space is not None else (*each, "how much room there is where they are kept is not known here"),
        growth=Growth(compound=True, rate=Spread.exactly(0.0), text="measured") if sight.trends else None,
    )  # fmt: skip


async def memory(sight: Sight) -> Part:
    """Memory of web processes: what they take at rest, and what each socket adds, by least squares over the record."""
    record, name = sight.record, "memory"
    load = await record.load(Key(ROOMS, "sockets"))
    sockets, taken = await record.values(Key(ROOMS, "sockets")), await record.values(Key(WEB, "memory"))
    known = ~np.isnan(sockets) & ~np.isnan(taken)
    if load is None or not known.any():
        return Lacking(name, TOO_LITTLE)
    rest, each = float(np.median(taken[known])), 0.0
    if float(sockets[known].max()) > float(sockets[known].min()):
        each, rest = (float(one) for one in np.polyfit(sockets[known], taken[known], 1))
    if each < 0 or rest < 0:
        return Lacking(name, "memory does not grow with sockets on record, so that nothing follows for more of them")
    places = np.array([0.0, max(load.most, 1.0) * _TABLE_REACH])
    limit = sight.installed.memory
    return loaded(sight, load)._replace(
        name=name, what="resident memory of web processes, by the sockets that are connected", unit="bytes",
        driver="users", size=Spread.exactly(limit) if limit is not None else None, units=1, ceiling=1,
        kind="add_memory", table=Table(places, rest + each * places), evidence=load.most, evidence_unit="sockets",
        proof="load-test {figure} sockets",
        notes=(_by_socket(load.most, each, rest),),
    )  # fmt: skip


def _by_socket(most: float, each: float, rest: float) -> str:
    if most < _FEW_SOCKETS:
        return f"never were more than {most:,.0f} sockets connected, too few to say what one of them takes"
    return f"a socket takes {each:,.0f} bytes more than the {rest / 1e6:,.0f} MB at rest"
