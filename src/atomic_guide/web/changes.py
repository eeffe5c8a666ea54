"""What the console is told of as it happens: how things are, looked at once a second, and what changed since.

Everything is read from the databases, so that it does not matter which process leads scaling or evaluates alerts, and
which one a console is connected to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.queues.controls import Controls as QueueControls
from atomic_guide.engines.queues.overview import count_dead, count_live
from atomic_guide.operations.operators.approvals import agreed
from atomic_guide.operations.scaling.controls import EVENT
from atomic_guide.operations.scaling.events import Reader, Wanted
from atomic_guide.operations.scaling.loop import recall_standing
from atomic_guide.operations.scaling.telling import told

if TYPE_CHECKING:
    from atomic_guide.web.tool import Tool

Kind = Literal["overview", "decision", "alert", "queue", "depth", "sample", "bye"]

_REST = 20.0
"""Between two counts, as a multiple of what the last one took: a second's look is kept up to 50 ms of it."""

RECENT = 50
"""Decisions that are looked at beside those that are open: more do not change within a second."""


class Overview(msgspec.Struct, frozen=True):
    """The counts of the navigation: `components` are what this process cannot reach, named in `away`.

    `sample` is when was measured last, null where nothing ever was.
    """

    alerts: int
    decisions: int
    dead_letters: int
    components: int
    away: tuple[str, ...]
    sample: str | None


class DecisionSeen(msgspec.Struct, frozen=True):
    """A decision as far as it changes."""

    id: str
    fleet: str
    action: str
    before: int
    after: int
    state: str
    approved: bool
    approvals: int
    needed: int
    outcome: str


class AlertSeen(msgspec.Struct, frozen=True):
    """An alert as far as it changes; `state` is `resolved` of one that is there no more."""

    fingerprint: str
    rule: str
    severity: str
    labels: dict[str, str]
    state: str


class QueueSeen(msgspec.Struct, frozen=True):
    """A queue as far as people change it or have to look at it."""

    queue: str
    dead: int
    paused: bool


class DepthSeen(msgspec.Struct, frozen=True):
    """How deep a queue is: its live jobs by state."""

    queue: str
    states: dict[str, int]


class Depths:
    """How deep the queues are. Counting takes time where many jobs wait, and may take a twentieth of it all."""

    def __init__(self) -> None:
        self._seen: dict[str, DepthSeen] = {}
        self._again = 0.0

    async def look(self, tool: Tool) -> dict[str, DepthSeen]:
        """As counted now, or lately where that took long. Raises as reads of the databases do."""
        began = tool.clock.monotonic()
        if began >= self._again:
            live = await count_live(tool.shards)
            ended = tool.clock.monotonic()
            self._again = ended + (ended - began) * _REST
            self._seen = {name: DepthSeen(name, states) for name, states in sorted(live.items())}
        return self._seen


class Seen(NamedTuple):
    """How things are at a moment."""

    overview: Overview
    decisions: Mapping[str, DecisionSeen]
    alerts: Mapping[str, AlertSeen]
    queues: Mapping[str, QueueSeen]
    depths: Mapping[str, DepthSeen] = {}


class Change(NamedTuple):
    """Something to tell."""

    kind: Kind
    data: Any


async def look(tool: Tool, depths: Depths) -> Seen:
    """How things are now. Raises as reads of the databases do."""
    decisions, sample = await _decisions(tool)
    standing = await tool.alerts.standing()
    alerts = {
        one.fingerprint: AlertSeen(one.fingerprint, one.rule, one.severity, one.labels, one.state)
        for one in standing.alerts
    }
    queues = await _queues(tool)
    checks = (await tool.health.readiness()).checks
    away = tuple(sorted(name for name, check in checks.items() if check.status == "failed"))
    overview = Overview(
        alerts=sum(one.state == "firing" for one in alerts.values()),
        decisions=sum(one.state == "awaiting" and not one.approved for one in decisions.values()),
        dead_letters=sum(one.dead for one in queues.values()),
        components=len(away),
        away=away,
        sample=sample,
    )
    return Seen(overview, decisions, alerts, queues, await depths.look(tool))


def changes(before: Seen | None, now: Seen) -> Iterator[Change]:
    """What to tell of how things are now, to whom was told how they were before; all of it at first."""
    if before is None:
        yield from whole(now)
        return
    yield from (Change("decision", one) for one in _new(before.decisions, now.decisions))
    yield from (Change("alert", one) for one in _new(before.alerts, now.alerts))
    for gone in before.alerts.keys() - now.alerts.keys():
        yield Change("alert", msgspec.structs.replace(before.alerts[gone], state="resolved"))
    yield from (Change("queue", one) for one in _new(before.queues, now.queues))
    for empty in before.queues.keys() - now.queues.keys():
        yield Change("queue", QueueSeen(empty, 0, paused=False))
    deep = [*_new(before.depths, now.depths)]
    deep += [DepthSeen(empty, {}) for empty in sorted(before.depths.keys() - now.depths.keys())]
    if deep:
        yield Change("depth", {"queues": deep})
    if before.overview.sample != now.overview.sample:
        yield Change("sample", {"at": now.overview.sample})
    if msgspec.structs.replace(before.overview, sample=None) != msgspec.structs.replace(now.overview, sample=None):
        yield Change("overview", now.overview)


def whole(now: Seen) -> Iterator[Change]:
    """What a stream begins with: the counts, and how deep the queues are."""
    yield Change("overview", now.overview)
    yield Change("depth", {"queues": [*now.depths.values()]})


def _new(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Any]:
    return (one for name, one in now.items() if before.get(name) != one)


async def _decisions(tool: Tool) -> tuple[dict[str, DecisionSeen], str | None]:
    """The decisions that are open or recent, and when was measured last."""
    directory = tool.shards.directory
    reader = Reader(directory)
    votes = await agreed(directory, EVENT, tool.operators.settings.needed)
    records = {record.id: record for record in await reader.select(Wanted(), RECENT)}
    records |= {record.id: record for record in await reader.pending()}
    standing = await recall_standing(reader)
    seen = {}
    for name, record in records.items():
        one = told(record, votes)
        seen[name] = DecisionSeen(
            **{field: getattr(one, field) for field in ("id", "fleet", "action", "before", "after", "state")},
            approved=one.approved,
            approvals=len(one.approvals),
            needed=one.needed,
            outcome=one.outcome,
        )
    return seen, iso(standing.at) if standing is not None and standing.at else None


async def _queues(tool: Tool) -> dict[str, QueueSeen]:
    """The queues that are paused or have dead letters."""
    controls = QueueControls(tool.shards.directory)
    await controls.look(tool.clock.now())
    dead = await count_dead(tool.shards)
    paused = controls.paused.keys()
    return {name: QueueSeen(name, dead.get(name, 0), paused=name in paused) for name in sorted(paused | dead.keys())}
