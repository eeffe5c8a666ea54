"""What deciding remembers from tick to tick: written as JSON, so that a new leader goes on where the old one stopped.

The demand of the last days is not in it: it is in the recorded series, from which a new leader's policies read it
(`Tuned.recall`), and what the nights found is in its own table.
"""

from __future__ import annotations

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.decide.windows import Window
from atomic_guide.operations.scaling.model import Event
from atomic_guide.operations.scaling.policies.tuned import Tuned, TunedState

_VERSION = 1

REFUSED_SECONDS = 600.0
"""After an act that failed: how long the same is not tried again, doubled with each failure in a row, up to a day."""

_ENDED = {"failed", "rolled_back", "refused", "expired"}


class Asked(msgspec.Struct, frozen=True):
    """The last change that was decided and is not known to have ended."""

    id: str
    at: float
    before: int
    after: int
    carried: bool = False
    """Whether it is known to be carried out, and so nothing else is asked for meanwhile."""


class Month(msgspec.Struct):
    """What a month has cost, and since when that has been counted."""

    since: float
    spent: float = 0.0


class Hour(msgspec.Struct):
    """What the present hour has wanted to cost so far: money an hour times seconds, and seconds."""

    hour: int = 0
    wanted: float = 0.0
    seconds: float = 0.0


class Pace(msgspec.Struct, frozen=True):
    """How a month's budget stood at a moment: spent, forecast for the hours left, what the fewest cost an hour.

    `level` is the most that an hour may cost; None where the budget lasts anyhow.
    """

    at: float = 0.0
    month: str = ""
    budget: float = 0.0
    spent: float = 0.0
    forecast: float = 0.0
    hours: float = 0.0
    fewest: float = 0.0
    level: float | None = None


class FleetState(msgspec.Struct):
    """Of one fleet: what is under way, when it changed, what was wanted lately, what was refused."""

    asked: Asked | None = None
    virtual: int | None = None
    """In shadow: how many units there would be by now."""
    grown_at: float | None = None
    changed_at: float | None = None
    counted: int | None = None
    counting_since: float | None = None
    """What is taken to run, and since when another count has been seen that nobody asked for."""
    wanted: list[tuple[float, int]] = []
    """What was wanted within the windows, oldest first."""
    failures: int = 0
    refused_until: float = 0.0
    refused_why: str = ""
    held: str = ""
    held_at: float = 0.0
    needed: int | None = None
    """What was wanted at the last tick before the budget was asked; None where nothing is done to the fleet."""
    planned: float = 0.0
    """The peak, by its begin, that has been said to be coming."""


class State(msgspec.Struct):
    """Everything of it that is written."""

    version: int = _VERSION
    at: float = 0.0
    windows: dict[str, Window] = {}
    fleets: dict[str, FleetState] = {}
    spent: dict[int, float] = {}
    """Money by hour since 1970, of the last day."""
    months: dict[str, Month] = {}
    """Money by month, such as 2026-11."""
    hour: Hour = msgspec.field(default_factory=Hour)
    usual: dict[int, float] = {}
    """What each hour of the week, from Monday's first on, has lately been wanted to cost."""
    pace: Pace = Pace()
    """Of the month's budget, as of this hour."""
    outlooks: dict[str, Outlook] = {}
    watches: dict[str, Watch] = {}
    """Of the forecasts in the outlooks."""
    tuned: dict[str, TunedState] = {}

    def watch(self, name: str) -> Watch:
        """How a fleet's forecast does."""
        return self.watches.setdefault(name, Watch())

    def fleet(self, name: str) -> FleetState:
        """What is remembered of a fleet."""
        return self.fleets.setdefault(name, FleetState())


class Memory:
    """The state, and the policies that are alive in this process."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.policies: dict[str, Tuned] = {}

    def saved(self) -> bytes:
        """As JSON."""
        for name, policy in self.policies.items():
            self.state.tuned[name] = policy.state()
        return msgspec.json.encode(self.state)

    @classmethod
    def loaded(cls, text: bytes | str) -> Memory:
        """From JSON. Raises `Invalid` where it is not what `saved` wrote; then an empty one is the remedy."""
        try:
            state = msgspec.json.decode(text, type=State)
        except msgspec.DecodeError as error:
            raise Invalid(f"the memory of scaling cannot be read ({error}); it begins anew without it") from error
        if state.version != _VERSION:
            raise Invalid(f"the memory of scaling is of version {state.version}, not {_VERSION}; it begins anew")
        return cls(state)

    def hear(self, event: Event) -> None:
        """What became of a decision: after a failure or a refusal the same is not tried again at once."""
        fleet = self.state.fleet(event.decision.fleet)
        mine = fleet.asked is not None and fleet.asked.id == event.decision.id
        at = event.ended_at if event.ended_at is not None else self.state.at
        if event.state in _ENDED:
            fleet.failures += 1
            wait = min(REFUSED_SECONDS * 2 ** (fleet.failures - 1), 86400.0)
            fleet.refused_until = at + wait
            fleet.refused_why = f"{event.decision.action} to {event.decision.after} {event.state}" + (
                f": {event.error}" if event.error else ""
            )
            fleet.asked, fleet.counted = None, None
        elif event.state == "done":
            fleet.failures = 0
            fleet.asked = None if mine else fleet.asked
            # It may have come about between two ticks: what it has made is no change that nobody asked for.
            fleet.counted, fleet.counting_since = event.decision.after, None

    def reset_clock(self, at: float) -> None:
        """The clock was set back to `at`: nothing that is remembered lies after it."""
        state = self.state
        for window in state.windows.values():
            window.back(at)
        for fleet in state.fleets.values():
            fleet.wanted = [(min(time, at), units) for time, units in fleet.wanted]
            fleet.grown_at = None if fleet.grown_at is None else min(fleet.grown_at, at)
            fleet.changed_at = None if fleet.changed_at is None else min(fleet.changed_at, at)
            fleet.refused_until = min(fleet.refused_until, at + REFUSED_SECONDS)
            fleet.held_at = min(fleet.held_at, at)
            if fleet.asked is not None and fleet.asked.at > at:
                fleet.asked = msgspec.structs.replace(fleet.asked, at=at)
        state.watches.clear()
        state.hour, state.pace = Hour(), Pace()
        state.spent = {hour: money for hour, money in state.spent.items() if hour * 3600 <= at}
