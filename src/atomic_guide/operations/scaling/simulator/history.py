"""The last simulations of an installation, in the directory: any process lists them, tells what came out, ends them."""

from __future__ import annotations

import asyncio
import base64
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.clock import from_iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.simulator.telling import PolicyTold, Simulation, TraceTold

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction

_QUERIES = load_queries("atomic_guide.operations.scaling", "simulations.sql")

MOST = 20
"""Simulations that are kept: some days of trying policies. One takes 60 kB with the console's pictures."""

_MOST_BYTES = 2**20
"""Of what came out of one, packed: eight policies with 2,000 points each take a third of it."""


class Standing(NamedTuple):
    """How a simulation stands; over at `ends_by`, seconds since the epoch, and before where somebody calls it off."""

    told: Simulation
    ends_by: float
    called_off_by: str = ""


class _Result(msgspec.Struct, frozen=True):
    trace: TraceTold | None
    policies: list[PolicyTold]


class History:
    """The table of simulations."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory

    async def put(self, told: Simulation, ends_by: float) -> None:
        """Keep how a simulation stands, and forget the oldest ones. Raises `DataUnavailable`."""
        head = msgspec.structs.replace(told, trace=None, policies=[])
        row = {
            "id": told.id,
            "started_at": from_iso(told.started_at),
            "ends_by": ends_by,
            "state": told.state,
            "told": msgspec.json.encode(head).decode(),
            "result": await asyncio.to_thread(_packed, told) if told.trace is not None else None,
        }

        async def work(tx: Transaction) -> None:
            await tx.execute(_QUERIES["put_simulation"], row)
            await tx.execute(_QUERIES["prune_simulations"], {"most": MOST})

        await self._directory.write(work)

    async def find(self, name: str) -> Standing | None:
        """One with what came out; None where there is none. Raises `DataUnavailable`."""
        row = await self._directory.one(_QUERIES["find_simulation"], {"id": name})
        if row is None:
            return None
        told = msgspec.json.decode(row["told"], type=Simulation)
        if row["result"] is not None:
            result = await asyncio.to_thread(_unpacked, row["result"])
            told = msgspec.structs.replace(told, trace=result.trace, policies=result.policies)
        elif told.state == "done":
            told = msgspec.structs.replace(told, error="what came out was too large to be kept; run it again")
        return Standing(told, row["ends_by"], row["called_off_by"] or "")

    async def last(self) -> list[Standing]:
        """The last ones, the newest first, without what came out. Raises `DataUnavailable`."""
        rows = await self._directory.read(_QUERIES["list_simulations"], {"most": MOST})
        return [Standing(msgspec.json.decode(row["told"], type=Simulation), row["ends_by"]) for row in rows]

    async def call_off(self, name: str, who: str) -> None:
        """Have the process of one that runs end it. Raises `DataUnavailable`."""

        async def work(tx: Transaction) -> None:
            await tx.execute(_QUERIES["call_off_simulation"], {"id": name, "who": who})

        await self._directory.write(work)


def _packed(told: Simulation) -> str | None:
    plain = msgspec.json.encode(_Result(told.trace, told.policies))
    packed = base64.b64encode(zlib.compress(plain, 1)).decode()
    return packed if len(packed) <= _MOST_BYTES else None


def _unpacked(text: str) -> _Result:
    return msgspec.json.decode(zlib.decompress(base64.b64decode(text)), type=_Result)
