"""Copies of lectures in other stores, for operators."""

from __future__ import annotations

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.video.spread.catalog import Count, Placed, Wanted
from atomic_guide.course.video.spread.deleting import Receipt
from atomic_guide.course.video.spread.spread import Spread, StoreView
from atomic_guide.web.paging import AFTER, Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_LIMIT = Limit(100, 1000)
"""Rows of one page: 300 kB of JSON."""

_RECEIPTS = Limit(20, 1000)
_CHOICES = ("tenant", "lecture", "store", "state")


class Counted(msgspec.Struct):
    """Copies in one store and state; `oldest` is when the first of them changed, an ISO 8601 time in UTC."""

    store: str
    state: str
    sets: int
    objects: int
    bytes: int
    oldest: str


class Overview(msgspec.Struct):
    """The declared stores as this process finds them, copies by store and state, and deletions that wait."""

    stores: list[StoreView]
    copies: list[Counted]
    deletions_waiting: int


class Copies(msgspec.Struct):
    """Copies in the order of tenant, lecture and store; `next` is the `after` of what follows, null at the end."""

    replicas: list[Placed]
    next: str | None


class Receipts(msgspec.Struct):
    """Deletions, the latest first."""

    deletions: list[Receipt]


class Repair(msgspec.Struct, forbid_unknown_fields=True):
    """Which copies to look over; what is left out chooses all."""

    tenant: str = ""
    lecture: str = ""
    store: str = ""


class Asked(msgspec.Struct):
    """How many copies will be read again."""

    asked: int


@calls.add("GET", "/api/ops/assets", access="operator", reply=Overview, failures=(401,))
async def show_stores(call: Call[None]) -> Overview:
    """Show the stores, how many copies each has in which state, and how many deletions wait for one."""
    spread = _spread(call.tool.media.parts.spread)
    copies = [_counted(one) for one in await spread.parts.catalog.counts()]
    return Overview(spread.stores(), copies, await spread.deletions.waiting())


@calls.add(
    "GET",
    "/api/ops/assets/replicas",
    access="operator",
    reply=Copies,
    failures=(400, 401),
    parameters=(
        *(Parameter(name, {"type": "string"}, f"Only of this {name}.") for name in _CHOICES),
        AFTER,
        _LIMIT.parameter,
    ),
)
async def list_copies(call: Call[None]) -> Copies:
    """List copies."""
    limit = _LIMIT.of(call)
    asked = call.request.query_params
    wanted = Wanted(*(asked.get(name, "") for name in _CHOICES))
    tenant, _, rest = asked.get("after", "").partition("/")
    lecture, _, store = rest.partition("/")
    catalog = _spread(call.tool.media.parts.spread).parts.catalog
    found = await catalog.page(wanted, (tenant, lecture, store), limit)
    last = found[-1] if len(found) == limit else None
    return Copies(found, f"{last.tenant}/{last.media}/{last.store}" if last is not None else None)


@calls.add(
    "GET",
    "/api/ops/assets/deletions",
    access="operator",
    reply=Receipts,
    failures=(400, 401),
    parameters=(_RECEIPTS.parameter,),
)
async def list_deletions(call: Call[None]) -> Receipts:
    """Show what each store has said to the latest deletions."""
    limit = _RECEIPTS.of(call)
    return Receipts(await _spread(call.tool.media.parts.spread).deletions.latest(limit))


@calls.add(
    "POST", "/api/ops/assets/repair", access="operator", body=Repair, reply=Asked, status=202, failures=(400, 401, 404)
)
async def repair_copies(call: Call[Repair]) -> Asked:
    """Have copies read again and put right, by jobs; one that is asked for twice is read once."""
    wanted = Wanted(call.body.tenant, call.body.lecture, call.body.store)
    return Asked(await _spread(call.tool.media.parts.spread).look_over(wanted))


def _counted(one: Count) -> Counted:
    return Counted(one.store, one.state, one.sets, one.objects, one.bytes, iso(one.oldest))


def _spread(spread: Spread | None) -> Spread:
    if spread is None:
        raise errors.NotFound("this process knows of no other stores")
    return spread
