"""Triggers about the store: reads that a cache would answer, lectures that nobody plays in a class that is cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from atomic_guide.operations.costs.advise.model import Considered, Draft, Effect, Facts, Figure
from atomic_guide.operations.costs.pricing import MONTH_HOURS
from atomic_guide.operations.costs.state import COOL

if TYPE_CHECKING:
    from atomic_guide.operations.costs.prices import Prices

CACHING, CLASSES = "caching", "storage-class"

RATIO = 10.0
"""With more reads than this for each write, a cache is thought of."""

_MONTH_SECONDS = float(MONTH_HOURS * 3600)


def caching(facts: Facts) -> Iterator[Draft | Considered]:
    """Reads over writes, of the store and of each database. No writes at all is the clearest case, and no error."""
    store = facts.store
    if _often_read(store.reads, store.writes):
        saved = round(store.repeats * _MONTH_SECONDS)
        evidence = (
            *_ratio("the object store", store.reads, store.writes, "costs.store_reads, costs.store_writes"),
            Figure("reads that a cache would have answered", round(saved), "reads/month", "costs.store_repeats"),
        )
        if not saved:
            yield Considered(CACHING, "the object store is read often, but hardly anything twice in a row", evidence)
        else:
            yield Draft(
                "store-read-cache",
                "answer repeated reads of lectures from a cache",
                CACHING,
                evidence,
                Effect("reads", amount=saved),
                risk="an erased lecture must be purged from the cache too, and cached answers must not outlive their"
                " signed addresses",
                breaks="nothing within the server; a cache before it sees who plays what",
                steps=("put a caching proxy between the server and the store's endpoint, a gigabyte for each process",),
            )
    for shard, (reads, writes) in sorted(facts.databases.items()):
        if _often_read(reads, writes):
            evidence = _ratio(
                f"the database {shard}", reads, writes, f"database.query[{shard}], database.write[{shard}]"
            )
            why = (
                f"the database {shard} is read often; reads of a database have no price of their own, and replicas are"
            )
            yield Considered(CACHING, f"{why} taken away by the rule quick-reads when they are not needed", evidence)


def _often_read(reads: float, writes: float) -> bool:
    return reads > 0 and reads > RATIO * writes


def _ratio(what: str, reads: float, writes: float, series: str) -> tuple[Figure, ...]:
    ratio = reads / writes if writes else None
    name = f"reads over writes of {what}" + ("" if writes else " (there are no writes)")
    return (Figure(name, round(ratio, 2) if ratio is not None else None, "ratio", series),)


def classes(facts: Facts, prices: Prices) -> Iterator[Draft | Considered]:
    """Lectures that have not been played for long, in the cool class."""
    store = facts.store
    if not store.idle_bytes:
        return
    share = store.idle_bytes / max(sum(facts.state.stored.values()), 1)
    evidence = (
        Figure(f"lectures not played for {store.idle_days} days", float(store.idle_bytes), "bytes", "lecture_figures"),
        Figure("their share of what is stored", round(min(share, 1.0), 4), "share", "costs.stored"),
        Figure("of them read in a month", float(store.recalled), "bytes"),
    )
    missing = [what for what in ("storage.cool", "recall.cool") if prices.find(what) is None]
    if missing:
        yield Considered(CLASSES, f"the price list has no {' and no '.join(missing)}", evidence)
        return
    if not store.cool_class:
        why = "the main store says no cool_class in assets.stores; most S3-compatible services have one"
        if store.cool_class is None:
            why = "the store is a directory, which has no classes; a bucket as the main store may (assets.main)"
        yield Considered(CLASSES, why, evidence)
        return
    yield Draft(
        "lectures-cool-class",
        f"keep lectures that nobody has played for {store.idle_days} days in the class {store.cool_class}",
        CLASSES,
        evidence,
        Effect("class", amount=store.idle_bytes, target=COOL, recalled=store.recalled),
        risk="a term that plays old lectures again pays for each GB that is read; at least 30 days are charged, and"
        " objects below 128 KiB stay in the usual class",
        breaks="nothing that people see: the cool class answers at once",
        steps=(f"set assets.cool_days = {store.idle_days} and restart; 0 brings everything back",),
    )
