"""What operators set beside the settings: modes, pauses that expire, pinned candidates; their answers to decisions.

It is in the directory, so that a command beside the server, another machine and the server's own API say the same. The
leader looks once a second. Pauses end by the database's clock, which is one for all.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.operations.operators.approvals import ALONE, Voter, agree
from atomic_guide.operations.scaling import audit
from atomic_guide.operations.scaling.events import Reader, Record
from atomic_guide.operations.scaling.leader import QUERIES
from atomic_guide.operations.scaling.marked import demo_present
from atomic_guide.operations.scaling.model import REPLICAS, SHARDS, WEB, WORKERS, Mode
from atomic_guide.operations.scaling.overrides import Limits, check_limits, look_limits, put_limits

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

EVENT = "event"
"""What a decision is called where operators agree to it."""

MODES: tuple[Mode, ...] = typing.get_args(Mode)

PAUSE_MOST_SECONDS = 90 * 86_400.0
"""A pause always ends; for longer than a term there is the mode `off`."""

_WHY_LENGTH = 500


def check_fleet(name: str) -> None:
    """Raise `NotFound` for what is no fleet."""
    if name not in {WEB, WORKERS, SHARDS} and not (name.startswith(REPLICAS) and name != REPLICAS):
        raise errors.NotFound(f"no fleet is called {name}; there are {WEB}, {WORKERS}, {SHARDS} and {REPLICAS}SHARD")


class Control(NamedTuple):
    """What holds for a fleet. `mode` is None where the settings say it; `paused_until` where it is not paused now."""

    mode: Mode | None = None
    paused_until: float | None = None
    why: str = ""
    pinned: dict[str, Any] | None = None
    least: int | None = None
    most: int | None = None
    """Fewest and most units beside the settings, None where those hold."""


NONE = Control()


class Controls:
    """The controls of all fleets; `who` names whoever changes them, for the audit."""

    def __init__(self, directory: Database, who: str = "operator", voter: Voter = ALONE) -> None:
        """`voter` is the same person for approvals, of which some installations want two."""
        self._directory = directory
        self._who = who
        self._voter = voter
        self._reader = Reader(directory)

    async def look(self) -> dict[str, Control]:
        """What is set, by fleet; one of which nothing is set any more is left out."""
        found: dict[str, Control] = {}
        for row in await self._directory.read(QUERIES["read_controls"]):
            paused = row["paused_until"] is not None and row["paused_until"] > row["now"]
            found[row["fleet"]] = Control(
                row["mode"],
                row["paused_until"] if paused else None,
                row["why"] if paused else "",
                msgspec.json.decode(row["pinned"]) if row["pinned"] else None,
            )
        for fleet, limits in (await look_limits(self._directory)).items():
            found[fleet] = found.get(fleet, NONE)._replace(least=limits.least, most=limits.most)
        return {fleet: control for fleet, control in found.items() if control != NONE}

    async def set_bounds(self, fleet: str, least: int | None, most: int | None) -> None:
        """Fewest and most units beside the settings; None where those hold. Raises `Invalid`."""
        check_fleet(fleet)
        check_limits(least, most)
        now = await self._now()

        async def work(tx: Transaction) -> None:
            await put_limits(tx, fleet, Limits(least, most, now))
            await audit.note(tx, now, self._who, audit.Deed("bounds", fleet, details={"least": least, "most": most}))

        await self._directory.write(work)

    async def set_mode(self, fleet: str, mode: Mode | None) -> None:
        """A fleet's mode; None goes back to the settings. Raises `Invalid`, and `Conflict` where demo data is."""
        if mode is not None and mode not in MODES:
            raise errors.Invalid(f"a mode is one of {', '.join(MODES)}, not {mode}")
        if mode not in {"off", "shadow"} and await demo_present(self._directory):
            raise errors.Conflict(
                "there is demo data here, and nothing is done to fleets by what is made up; `atomic-guide demo remove`"
                " takes it away and gives them their mode back"
            )
        await self._set("set_mode", audit.Deed("mode", fleet, details={"mode": mode}), mode=mode)

    async def pause(self, fleet: str, seconds: float, why: str) -> float:
        """Do nothing to a fleet for a time; returns when it ends. Raises `Invalid`.

        What is being carried out is brought to its end; what waits for an operator goes on waiting.
        """
        if not 1 <= seconds <= PAUSE_MOST_SECONDS:
            raise errors.Invalid(f"a pause is 1 s to {PAUSE_MOST_SECONDS / 86400:.0f} days, not {seconds:g} s")
        if not why.strip() or len(why) > _WHY_LENGTH:
            raise errors.Invalid(f"say in 1 to {_WHY_LENGTH} characters why the fleet is paused")
        until = await self._now() + seconds
        await self._set("set_pause", audit.Deed("pause", fleet, details={"until": until, "why": why}),
                        until=until, why=why)  # fmt: skip
        return until

    async def resume(self, fleet: str) -> bool:
        """Go on; whether it was paused."""
        control = (await self.look()).get(fleet, NONE)
        if control.paused_until is None:
            return False
        await self._set("set_pause", audit.Deed("resume", fleet), until=None, why="")
        return True

    async def pin(self, fleet: str, candidate: dict[str, Any] | None) -> None:
        """Pin the nightly choice to a candidate; None frees it."""
        pinned = None if candidate is None else msgspec.json.encode(candidate).decode()
        await self._set("set_pin", audit.Deed("pin", fleet, details={"candidate": candidate}), pinned=pinned)

    async def approve(self, event_id: str) -> Record:
        """Agree to what waits; where it takes two, the first is noted and the second one has it done.

        Again is harmless. Raises `NotFound`, and `Conflict` where it does not wait any more.
        """
        record = await self._waiting(event_id)
        if record.step != "approved":
            now = await self._now()

            async def work(tx: Transaction) -> None:
                enough = await agree(tx, f"{EVENT} {event_id}", self._voter, self._who, now)
                if enough and not await tx.execute(QUERIES["approve_event"], {"id": event_id}):
                    raise errors.Conflict(f"event {event_id} has just been answered; look at it again")
                what = "approved" if enough else "agreed"
                await audit.note(tx, now, self._who, audit.Deed(what, record.fleet, event_id))

            await self._directory.write(work)
        return await self._reader.find(event_id)

    async def refuse(self, event_id: str, why: str = "") -> Record:
        """Do not agree. Again is harmless. Raises as `approve` does."""
        record = await self._reader.find(event_id)
        if (
            record.event.state == "refused"
            and record.event.mode == "approve"
            and record.event.decision.action != "hold"
        ):
            return record
        record = await self._waiting(event_id)
        reason = f"refused by {self._who}" + (f": {why[:_WHY_LENGTH]}" if why else "")
        deed = audit.Deed("refused", record.fleet, event_id, {"why": why[:_WHY_LENGTH]})
        now = await self._now()

        async def work(tx: Transaction) -> None:
            if not await tx.execute(QUERIES["refuse_event"], {"id": event_id, "error": reason, "now": now}):
                raise errors.Conflict(f"event {event_id} has just been answered; look at it again")
            await audit.note(tx, now, self._who, deed)

        await self._directory.write(work)
        return await self._reader.find(event_id)

    async def _waiting(self, event_id: str) -> Record:
        record = await self._reader.find(event_id)
        if record.event.state != "awaiting":
            raise errors.Conflict(f"event {event_id} waits for nobody: it is {record.event.state}")
        return record

    async def _set(self, query: str, deed: audit.Deed, **params: Any) -> None:
        check_fleet(deed.fleet)
        now = await self._now()

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES[query], {"fleet": deed.fleet, "now": now, **params})
            await audit.note(tx, now, self._who, deed)

        await self._directory.write(work)

    async def _now(self) -> float:
        row = await self._directory.one(QUERIES["database_time"])
        if row is None:
            raise errors.DataUnavailable(f"database {self._directory.name} does not say what time it has")
        return float(row["now"])
