"""What operators are told of scaling: how things stand, why something was done or not, what it has achieved.

The command line and the HTTP API show the same values; everything comes from the directory, so that it can be asked
beside a running server, on another machine, or when no server runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Invalid
from atomic_guide.operations.operators.approvals import NOBODY, Agreed, Approval, agreed
from atomic_guide.operations.scaling import audit, effect, leader
from atomic_guide.operations.scaling.controls import EVENT, NONE, Control, Controls
from atomic_guide.operations.scaling.decide.memory import Memory, Pace
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.events import Reader, Record, Wanted
from atomic_guide.operations.scaling.judging import recent
from atomic_guide.operations.scaling.loop import MIND, TICK_SECONDS, Standing, recall_standing
from atomic_guide.operations.scaling.model import Expected, Mode, Rejected, State

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.scaling.decide.outlook import Outlook
    from atomic_guide.operations.scaling.loop import Counted

_RATED_MOST = 1000


class Told(msgspec.Struct, frozen=True):
    """An event in short. Times are ISO 8601; `outcome` is that of its verdict, empty where there is none yet."""

    id: str
    at: str
    fleet: str
    action: str
    before: int
    after: int
    rule: str
    urgency: str
    reason: str
    state: State
    mode: Mode
    approved: bool
    started_at: str | None
    ended_at: str | None
    error: str
    outcome: str
    success: bool | None
    approvals: list[Approval] = []
    """Who agreed to it, the first first, where it takes more than one."""
    needed: int = 1
    """How many operators it takes."""


class Ahead(msgspec.Struct, frozen=True):
    """How the forecast of a fleet stands: whether it is relied on, and why not; when the next peak begins."""

    made_at: str
    trusted: bool
    why: str
    confidence: float | None
    next_peak: str | None
    next_peak_demand: float | None


class FleetTold(msgspec.Struct, frozen=True):
    """A fleet: what runs, what is wanted, what holds for it, what was said of it last.

    `ready` and `starting` are of the last tick, None where it could not be looked at.
    """

    fleet: str
    ready: int | None
    starting: int | None
    wanted: int | None
    least: int | None
    most: int | None
    utilisation: float | None
    mode: Mode | None
    mode_from: str
    paused_until: str | None
    paused_why: str
    pinned: dict[str, Any] | None
    waiting: str | None
    last: Told | None
    forecast: Ahead | None


class BudgetTold(msgspec.Struct, frozen=True):
    """A month's budget as of the hour: spent, forecast for the hours left, and the most that an hour may cost.

    `per_hour` is None where the budget lasts without holding anything back.
    """

    month: str
    budget: float
    spent: float
    forecast: float
    hours_left: float
    per_hour: float | None


class Leading(msgspec.Struct, frozen=True):
    """Who leads; `alive` is whether its lease is being renewed."""

    owner: str
    alive: bool
    token: int


class Status(msgspec.Struct, frozen=True):
    """How scaling stands. `at` is the last tick, None where there never was one; `missing` what it could not know."""

    at: str | None
    stale: bool
    leader: Leading | None
    fleets: list[FleetTold]
    missing: dict[str, str]
    troubles: list[dict[str, Any]]
    success: effect.Rate
    events_per_hour: int
    budget: BudgetTold | None = None


class Explained(msgspec.Struct, frozen=True):
    """An event with all that was weighed, expected and found."""

    event: Told
    inputs: dict[str, float | None]
    rejected: tuple[Rejected, ...]
    expected: Expected | None
    verdict: dict[str, Any]
    audit: list[audit.Entry]


class History(msgspec.Struct, frozen=True):
    """Events of a time, the newest first, and how they went over all of it."""

    events: list[Told]
    success: effect.Rate
    shadow: effect.Rate
    rules: list[effect.Effectiveness]


async def status(directory: Database, now: float, needed: int = 1) -> Status:
    """How scaling stands; approving takes `needed` operators."""
    reader = Reader(directory)
    standing = await recall_standing(reader) or Standing(0.0)
    controls = await Controls(directory).look()
    newest = {record.fleet: record for record in await reader.newest()}
    pending = await reader.pending()
    known = (await recall_memory(reader)).state
    names = sorted({*standing.fleets, *controls, *newest})
    lately = await recent(reader, now)
    votes = await agreed(directory, EVENT, needed)
    fleets = []
    for name in names:
        mine = [record for record in pending if record.fleet == name]
        last = told(newest[name], votes) if name in newest else None
        about = (controls.get(name, NONE), mine, last)
        fleets.append(
            _fleet(name, standing.fleets.get(name), about, _ahead(known.outlooks.get(name), known.watch(name), now))
        )
    return Status(
        at=iso(standing.at) if standing.at else None,
        stale=now - standing.at > 4 * TICK_SECONDS,
        leader=await _leading(directory),
        fleets=fleets,
        missing=standing.missing,
        troubles=[{**msgspec.to_builtins(one), "since": iso(one.since)} for one in standing.troubles],
        success=lately.success,
        events_per_hour=lately.events_per_hour,
        budget=_budget(known.pace),
    )


async def explain(directory: Database, event_id: str, now: float, needed: int = 1) -> Explained:
    """All about one event. Raises `NotFound`."""
    record = await Reader(directory).find(event_id)
    decision = record.event.decision
    verdict = record.event.verdict
    if verdict is None and (found := effect.spans(record.event)) is not None:
        verdict = msgspec.to_builtins(effect.too_early(found[1].until, now))
    noted = await audit.entries(directory, event=event_id)
    shown = await tell(directory, record, needed)
    return Explained(shown, decision.inputs, decision.rejected, decision.expected, verdict or {}, noted[::-1])


async def history(directory: Database, wanted: Wanted, limit: int, needed: int = 1) -> History:
    """Events of a time; the rates are over at most a thousand of them."""
    records = await Reader(directory).select(wanted, max(limit, _RATED_MOST))
    events = [record.event for record in records]
    votes = await agreed(directory, EVENT, needed)
    return History(
        [told(record, votes) for record in records[:limit]], effect.rate(events), effect.shadow_rate(events),
        effect.by_rule(events),
    )  # fmt: skip


async def tell(directory: Database, record: Record, needed: int = 1) -> Told:
    """An event in short, with who has agreed to it where that takes `needed`, more than one."""
    return told(record, await agreed(directory, EVENT, needed))


def told(record: Record, votes: Agreed = NOBODY) -> Told:
    """An event in short."""
    event, decision = record.event, record.event.decision
    verdict = event.verdict or {}
    return Told(
        **{name: getattr(decision, name) for name in _DECIDED},
        at=iso(decision.at),
        state=event.state,
        mode=event.mode,
        approved=record.step == "approved",
        started_at=iso(event.started_at) if event.started_at else None,
        ended_at=iso(event.ended_at) if event.ended_at else None,
        error=event.error,
        outcome=verdict.get("outcome", ""),
        success=verdict.get("success"),
        approvals=votes.given.get(record.id, []),
        needed=votes.needed,
    )


_DECIDED = ("id", "fleet", "action", "before", "after", "rule", "urgency", "reason")


def _fleet(
    name: str, counted: Counted | None, about: tuple[Control, Sequence[Record], Told | None], ahead: Ahead | None
) -> FleetTold:
    control, pending, last = about
    acting = next((record for record in pending if record.event.state == "acting"), None)
    waiting = next((record.id for record in pending if record.event.state == "awaiting"), None)
    least, most = _bounds(control, counted)
    wanted = counted.ready + counted.starting if counted else None
    if acting is not None:
        wanted = acting.event.decision.before if acting.step == "returning" else acting.event.decision.after
    return FleetTold(
        fleet=name,
        ready=counted.ready if counted else None,
        starting=counted.starting if counted else None,
        wanted=wanted,
        least=least,
        most=most,
        utilisation=counted.utilisation if counted else None,
        mode=control.mode or (counted.mode if counted else None),
        mode_from="operator" if control.mode else "settings",
        paused_until=iso(control.paused_until) if control.paused_until else None,
        paused_why=control.why,
        pinned=control.pinned,
        waiting=waiting,
        last=last,
        forecast=ahead,
    )


def _bounds(control: Control, counted: Counted | None) -> tuple[int | None, int | None]:
    """Fewest and most units that hold: what operators have set, as far as the settings' most allows."""
    if counted is None:
        return control.least, control.most
    most = counted.most if control.most is None else min(control.most, counted.most)
    return min(counted.least if control.least is None else control.least, most), most


async def _leading(directory: Database) -> Leading | None:
    lease = await leader.look(directory)
    if lease is None or not lease.owner:
        return None
    return Leading(lease.owner, lease.now < lease.until, lease.token)


async def recall_memory(reader: Reader) -> Memory:
    """What the leader's deciding remembers."""
    saved = await reader.recall(MIND)
    try:
        return Memory.loaded(saved) if saved else Memory()
    except Invalid:
        # A newer or older program wrote it: nothing can be said of the forecast.
        return Memory()


def _budget(pace: Pace) -> BudgetTold | None:
    if not pace.budget:
        return None
    per_hour = None if pace.level is None else max(pace.level, pace.fewest)
    return BudgetTold(pace.month, pace.budget, pace.spent, pace.forecast, pace.hours, per_hour)


def _ahead(outlook: Outlook | None, watch: Watch, now: float) -> Ahead | None:
    if outlook is None:
        return None
    peak = min((peak for peak in outlook.peaks if peak.ends > now), key=lambda one: one.begins, default=None)
    return Ahead(
        made_at=iso(outlook.made_at),
        trusted=watch.trusted,
        why="" if watch.trusted else outlook.why or watch.why,
        confidence=outlook.confidence,
        next_peak=iso(peak.begins) if peak else None,
        next_peak_demand=peak.demand if peak else None,
    )
