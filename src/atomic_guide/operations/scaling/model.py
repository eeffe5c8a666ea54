"""What scaling speaks of: series of measurements, decisions, events. Pure data, each written as JSON as it stands.

A component has one name everywhere, in metrics, rules, decisions and commands:

- `web`: processes that answer requests and hold rooms; a fleet.
- `workers`: processes that run jobs; a fleet.
- `queues`: the jobs themselves, by queue.
- `rooms`: sockets, over all processes; more room for them is more of `web`.
- `database`: the shards, by shard; `replicas/SHARD` is the fleet of one shard's read replicas, `shards` that of the
  shards themselves.

A fleet is what can have more or fewer units; a target (targets.py) changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from atomic_guide.operations.scaling.fleet import Fleet

WEB, WORKERS, QUEUES, ROOMS, DATABASE = "web", "workers", "queues", "rooms", "database"
CACHE = "cache"
REPLICAS = "replicas/"
"""What the fleet of a shard's read replicas begins with."""
SHARDS = "shards"
"""The fleet of the shards of the default zone."""

MEASURES = {WEB: "cores", WORKERS: "slots"}
"""What the demand of a fleet is counted in."""

Urgency = Literal["low", "medium", "high"]

Action = Literal[
    "add_read_replica",
    "remove_read_replica",
    "add_consumer",
    "remove_consumer",
    "increase_sharding",
    "decrease_sharding",
    "add_process",
    "remove_process",
    "pre_scale_resources",
    "hold",
]
"""What a decision does. `pre_scale_resources` starts early what a forecast or a schedule asks for; `hold` says why
nothing is done although something speaks for it."""

Mode = Literal["off", "shadow", "approve", "auto"]
"""Of a fleet: decide nothing; decide and judge only; act when an operator agrees; act."""

State = Literal["shadowed", "awaiting", "acting", "done", "failed", "rolled_back", "refused", "expired"]
"""Of an event. `awaiting` an operator; `refused` by an operator or a bound; `expired` without an answer."""


class Key(NamedTuple):
    """A series: whose, what, and of which part (a queue, a shard, a process), `part` being empty for all of it."""

    component: str
    metric: str
    part: str = ""


class Sample(NamedTuple):
    """One measurement. What was not measured has no sample: it is never a zero."""

    key: Key
    value: float
    histogram: Mapping[int, int] | None = None
    """For a series of durations: counts by bucket (histogram.py) since the sample before; `value` is their sum, s."""


class Source(Protocol):
    """Measures one component. Each call has a time limit, and a failure costs this source's samples only."""

    name: str

    async def measure(self, at: float) -> list[Sample]:
        """The figures of now; raises where it cannot tell. Never blocks the loop."""
        ...


class Seen(NamedTuple):
    """What is known at a tick. A key that is absent was not measured; `missing` says why, by the source's name."""

    at: float
    values: Mapping[Key, float]
    missing: Mapping[str, str] = {}
    histograms: Mapping[Key, Mapping[int, int]] = {}
    """For series of durations: counts by bucket since the tick before, of which windows and quantiles are made."""

    def value(self, component: str, metric: str, part: str = "") -> float | None:
        """The value of a series at this tick, None where it was not measured."""
        return self.values.get(Key(component, metric, part))


class Rejected(msgspec.Struct, frozen=True):
    """An alternative that was not taken, and why."""

    what: str
    why: str


class Expected(msgspec.Struct, frozen=True):
    """What a change is to achieve: a series that is to be at or below (or above) a limit within so many seconds."""

    component: str
    metric: str
    limit: float
    within: float
    part: str = ""
    below: bool = True


class Decision(msgspec.Struct, frozen=True):
    """What should be done to a fleet, and why. `inputs` holds what it was made from, None for what was not measured.

    `capped` is whether the most units of the fleet were in the way.
    """

    id: str
    at: float
    fleet: str
    action: Action
    before: int
    after: int
    rule: str
    urgency: Urgency
    reason: str
    inputs: dict[str, float | None] = {}
    rejected: tuple[Rejected, ...] = ()
    expected: Expected | None = None
    capped: bool = False


class Target(Protocol):
    """Changes one fleet. `auto` acts of one target go one at a time."""

    fleet: str

    async def look(self) -> Fleet:
        """What is ready and what starts. Raises `Unavailable` where that cannot be told."""
        ...

    async def scale(self, desired: int, key: str) -> None:
        """Have so many units. The same key again is the same act, done once.

        Returns when the wish is taken, not when the units are ready: `look` tells of that. Raises `Unavailable`,
        `Conflict` or `Invalid` where it is not.
        """
        ...


class Event(msgspec.Struct, frozen=True):
    """A decision and what became of it. `before` and `after` are windows around it, `verdict` what they say."""

    decision: Decision
    state: State
    mode: Mode
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    verdict: dict[str, Any] | None = None
