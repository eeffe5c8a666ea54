"""Decisions and what became of them, in the directory. A decision's id is the key: under it, one thing is done once.

Whatever the leader writes carries its token and is refused with `Deposed` once another leads; what operators do needs
no lead and is a single step that the leader then acts upon.

    shadowed                                    mode shadow
    awaiting ─ approved ─┐     refused          by an operator
             └ expired   │     refused          by a bound, and every `hold`
    acting ◄─────────────┘
      asking → watching → done
             ↘          ↘
               returning → rolled_back | failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.operations.scaling import audit
from atomic_guide.operations.scaling.leader import QUERIES
from atomic_guide.operations.scaling.model import Decision, Event, Mode, State

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.operations.scaling.leader import Leader

Step = Literal["", "approved", "asking", "watching", "returning"]

_FOREVER = float(2**53)


class Record(NamedTuple):
    """An event as it stands in the directory: how far it has come, and which leader wrote it last.

    `before` is what was counted when its act began, which is where it goes back to.
    """

    event: Event
    step: Step
    token: int
    before: int
    after: int

    @property
    def id(self) -> str:
        """The decision's."""
        return self.event.decision.id

    @property
    def fleet(self) -> str:
        """Whom it is about."""
        return self.event.decision.fleet


class Wanted(NamedTuple):
    """Which events: of a time, and of a fleet, a state, a rule where they are named."""

    since: float = 0.0
    until: float = _FOREVER
    fleet: str = ""
    state: str = ""
    rule: str = ""


class Reader:
    """Events as anybody may read them."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory

    async def find(self, event_id: str) -> Record:
        """One event. Raises `NotFound`."""
        row = await self._directory.one(QUERIES["read_event"], {"id": event_id})
        if row is None:
            raise errors.NotFound(f"there is no scaling event {event_id}; `atomic-guide scale history` lists them")
        return _record(row)

    async def pending(self) -> list[Record]:
        """What is carried out or waits for an operator, the oldest first."""
        return [_record(row) for row in await self._directory.read(QUERIES["list_open_events"])]

    async def select(self, wanted: Wanted = Wanted(), limit: int = 100) -> list[Record]:  # noqa: B008 - it is immutable
        """The newest events first."""
        rows = await self._directory.read(QUERIES["list_events"], {**wanted._asdict(), "limit": limit})
        return [_record(row) for row in rows]

    async def newest(self) -> list[Record]:
        """The newest event of each fleet."""
        return [_record(row) for row in await self._directory.read(QUERIES["newest_events"])]

    async def recall(self, name: str) -> str | None:
        """What the last leader knew under a name; None where there is nothing."""
        row = await self._directory.one(QUERIES["read_memory"], {"name": name})
        return None if row is None else str(row["value"])

    async def unjudged(self, since: float, limit: int) -> list[Record]:
        """What may be judged: acts that ended well and changes that were only watched, the oldest first."""
        rows = await self._directory.read(QUERIES["list_unjudged_events"], {"since": since, "limit": limit})
        return [_record(row) for row in rows]


class Events(Reader):
    """Events as the leader writes them. Each change raises `Deposed` where this process does not lead any more."""

    def __init__(self, directory: Database, leader: Leader, clock: Clock) -> None:
        super().__init__(directory)
        self._leader = leader
        self._clock = clock

    async def record(
        self, decision: Decision, mode: Mode, state: State, error: str = "", *, before: int | None = None
    ) -> bool:
        """Write a decision down in its first state; False where its id is taken: it is done or under way.

        `before` is what is counted where that is not what it was decided for. Raises `Conflict` for a second act on a
        fleet.
        """
        now = self._clock.now()
        row = {
            **{name: getattr(decision, name) for name in ("id", "fleet", "rule", "at", "after")},
            "before": decision.before if before is None else before,
            "state": state, "mode": mode, "error": error, "decision": msgspec.json.encode(decision).decode(),
            "step": "asking" if state == "acting" else "", "started_at": now if state == "acting" else None,
            "ended_at": now if state in {"shadowed", "refused"} else None,
        }  # fmt: skip

        async def work(tx: Transaction) -> bool:
            token = await self._leader.fence(tx)
            added = await tx.execute(QUERIES["add_event"], {**row, "token": token})
            if added:
                await self._note(tx, decision, state, error)
            return bool(added)

        return await self._directory.write(work)

    async def start(self, record: Record) -> bool:
        """Begin what an operator has agreed to; False where it has changed. Raises `Conflict` as `record` does."""
        return await self._change(record, "start_event", "acting")

    async def advance(self, record: Record, step: Step, error: str = "") -> bool:
        """The next step of an act. False where it is not under way any more."""
        params = {"id": record.id, "step": step, "error": error}

        async def work(tx: Transaction) -> bool:
            token = await self._leader.fence(tx)
            changed = await tx.execute(QUERIES["advance_event"], {**params, "token": token})
            if changed and step == "returning":
                await self._note(tx, record.event.decision, step, error)
            return bool(changed)

        return await self._directory.write(work)

    async def end(self, record: Record, state: State, error: str = "") -> bool:
        """What became of it. False where it has ended already."""
        return await self._change(record, "end_event", state, state=state, error=error)

    async def judge(self, record: Record, verdict: dict[str, Any]) -> None:
        """Keep what the windows before and after say."""
        params = {"id": record.id, "verdict": msgspec.json.encode(verdict).decode()}

        async def work(tx: Transaction) -> None:
            token = await self._leader.fence(tx)
            await tx.execute(QUERIES["judge_event"], {**params, "token": token})

        await self._directory.write(work)

    async def save(self, values: dict[str, str], deeds: Sequence[audit.Deed] = ()) -> None:
        """Keep what the leader knows, by name, for the next one and for commands, with what it notes of itself.

        One commit a tick.
        """
        now = self._clock.now()

        async def work(tx: Transaction) -> None:
            await self._leader.fence(tx)
            for name, value in values.items():
                await tx.execute(QUERIES["save_memory"], {"name": name, "at": now, "value": value})
            for deed in deeds:
                await audit.note(tx, now, audit.LEADER, deed)

        await self._directory.write(work)

    async def prune(self) -> None:
        """Forget what is older than thirteen months."""

        async def work(tx: Transaction) -> None:
            await self._leader.fence(tx)
            await audit.prune(tx, self._clock.now())

        await self._directory.write(work)

    async def _change(self, record: Record, query: str, what: str, **params: Any) -> bool:
        params |= {"id": record.id, "now": self._clock.now()}

        async def work(tx: Transaction) -> bool:
            token = await self._leader.fence(tx)
            changed = await tx.execute(QUERIES[query], {**params, "token": token})
            if changed:
                await self._note(tx, record.event.decision, what, str(params.get("error", "")))
            return bool(changed)

        return await self._directory.write(work)

    async def _note(self, tx: Transaction, decision: Decision, what: str, error: str) -> None:
        details: dict[str, Any] = {"action": decision.action, "before": decision.before, "after": decision.after}
        deed = audit.Deed(what, decision.fleet, decision.id, details | ({"error": error} if error else {}))
        await audit.note(tx, self._clock.now(), audit.LEADER, deed)


def _record(row: Row) -> Record:
    event = Event(
        decision=msgspec.json.decode(row["decision"], type=Decision),
        state=row["state"],
        mode=row["mode"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        error=row["error"],
        verdict=msgspec.json.decode(row["verdict"]) if row["verdict"] else None,
    )
    return Record(event, row["step"], row["token"], row["before"], row["after"])
